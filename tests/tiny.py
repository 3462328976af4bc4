"""Settings with which a run takes a second: for tests of everything around the engine."""

TINY = (
    "estimator=algorithm1",
    "recovery.first_iterations=2",
    "recovery.iterations=1",
    "recovery.timesteps=(100,50)",
    "recovery.unet_channels=4",
    "recovery.unet_depth=2",
    "recovery.inr_width=16",
    "refine.rounds=1",
    "refine.steps=1",
    "kernel_crop=32",
    "doubt=False",
)
