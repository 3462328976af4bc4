"""A Hugging Face Hub in miniature: a real HTTP server on loopback that speaks as much of it as priors need."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REPO, OLD = "anna/pd", "0" * 40  # a repository, and a commit that none has


class HubServer:
    """Use it as a context manager.

    Attributes:
        revisions: {repository: {branch or commit: {file: bytes}}}.
        requests: (method, path, headers) of everything that was asked.
        faults: what goes wrong with which repository: "gated", "private", "forbidden", "credentials", a status,
            "no commit", "huge", "other content".
        dying: how often the next bodies of weights break off in the middle.
    """

    def __init__(self):
        self.revisions, self.requests, self.faults, self.dying = {}, [], {}, 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_any(self):
                hub.requests.append((self.command, self.path, dict(self.headers)))
                status, headers, answer = hub.answer(self.path, self.headers)
                self.send_response(status)
                for name, value in {"Content-Length": len(answer), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                if self.command == "HEAD":
                    return
                if status == 200 and self.path.startswith("/cdn/") and hub.dying:
                    hub.dying -= 1
                    answer = answer[: len(answer) // 2]
                    self.close_connection = True
                self.wfile.write(answer)

            do_HEAD = do_GET = handle_any  # noqa: N815

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def publish(self, repo, files, branch="main"):
        """Puts files under a new commit, to which the branch moves, and returns it."""
        content = repr(sorted(files.items())).encode()
        commit = hashlib.sha1(content).hexdigest()
        self.revisions.setdefault(repo, {})[commit] = self.revisions[repo][branch] = files
        return commit

    def asked(self):
        """The paths asked for."""
        return [path for _, path, _ in self.requests]

    def answer(self, path, headers):
        parts = [unquote(part) for part in urlsplit(path).path.split("/")[1:]]
        if parts[0] == "cdn":  # other host than the Hub's: no token may reach it
            return self.cdn(parts[1], headers)
        if len(parts) == 5 and parts[2] == "resolve":
            return self.resolve("/".join(parts[:2]), parts[3], parts[4])
        return 404, {}, b""

    def cdn(self, digest, headers):
        if "Authorization" in headers:
            return 400, {}, b""
        for repo, revisions in self.revisions.items():
            for files in revisions.values():
                for content in files.values():
                    if hashlib.sha256(content).hexdigest() == digest:
                        broken = self.faults.get(repo) == "other content"
                        return 200, {}, content[:-4] + b"ABCD" if broken else content
        return 404, {}, b""

    def resolve(self, repo, revision, name):
        fault = self.faults.get(repo)
        refusals = {
            "gated": (403, {"X-Error-Code": "GatedRepo"}),
            "private": (401, {"X-Error-Code": "RepoNotFound"}),
            "forbidden": (403, {}),
            "credentials": (401, {"X-Error-Message": "Invalid credentials in Authorization header"}),
        }
        if fault in refusals or isinstance(fault, int):
            return *refusals.get(fault, (fault, {})), b""
        if repo not in self.revisions:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        if revision not in self.revisions[repo]:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        files = self.revisions[repo][revision]
        commit = next(key for key, value in self.revisions[repo].items() if value is files and len(key) == 40)
        if name not in files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        about = {} if fault == "no commit" else {"X-Repo-Commit": commit}
        content = files[name]
        if not name.endswith(".safetensors"):
            return 200, {**about, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, content
        digest = hashlib.sha256(content).hexdigest()  # large files: a redirect to storage elsewhere
        about |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": 10**12 if fault == "huge" else len(content)}
        return 302, {**about, "Location": f"{self.url.replace('127.0.0.1', 'localhost')}/cdn/{digest}"}, b""


def use_hub(monkeypatch, constants, url):
    """Lets huggingface_hub, imported already, take `url` for the Hub."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


def folder(weights):
    """What a repository with that prior holds."""
    from kf_core.checkpoints.file import WEIGHTS

    return {WEIGHTS: weights, "README.md": b"# A prior"}


def left_behind(tmp_path):
    """The files in the cache, apart from the client's locks and its mark for backup programs."""
    paths = [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and ".locks" not in path.parts]
    return [path.name for path in paths if path.name != "CACHEDIR.TAG"]
