"""What the tests of the page share."""

WAIT = 90_000  # ms, in the browser: the machine may have other things to do
