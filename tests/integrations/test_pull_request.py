"""Comments on pull and merge requests, held against a server that keeps them as GitHub and GitLab do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evalharness.core.errors import RunError, UsageError
from evalharness.gate.comment import marker_of
from evalharness.integrations.pull_request import main, post_comment

TEXT = f"{marker_of('suite')}\n### ✅ Gate of suite: pass\n"


class Server:
    """`comments` as the service lists them; `who` answers /user, None forbids it; `refuse` is a status for writes."""

    def __init__(self):
        self.comments, self.who, self.refuse, self.calls, self.author = [], None, None, [], {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def answer(self, status, body, **headers):
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def handle_call(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"null")
                token = self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN")
                service.calls.append((self.command, self.path, token))
                if token not in ("Bearer secret", "secret"):
                    return self.answer(401, {"message": "no"})
                if self.path.endswith("/user"):
                    return self.answer(403, {}) if service.who is None else self.answer(200, service.who)
                if self.command == "GET":
                    page = int(self.path.rpartition("page=")[2])
                    return self.answer(200, service.comments[100 * (page - 1) : 100 * page])
                if service.refuse == 302:
                    return self.answer(302, {}, Location="http://127.0.0.1:1/stolen")
                if service.refuse:
                    return self.answer(service.refuse, {"message": "Resource not accessible by integration"})
                if self.command == "POST":
                    service.comments.append({"id": len(service.comments) + 1, "body": body["body"], **service.author})
                    return self.answer(201, service.comments[-1])
                (comment,) = [c for c in service.comments if c["id"] == int(self.path.rpartition("/")[2])]
                comment["body"] = body["body"]
                return self.answer(200, comment)

            do_GET = do_POST = do_PATCH = do_PUT = handle_call

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"


@pytest.fixture
def server():
    found = Server()
    thread = threading.Thread(target=found.http.serve_forever, daemon=True)
    thread.start()
    yield found
    found.http.shutdown()
    found.http.server_close()
    thread.join()


@pytest.fixture(params=["github", "gitlab"])
def job(request, server, tmp_path):
    if request.param == "gitlab":
        server.who, server.author = {"id": 7}, {"author": {"id": 7}}
        return {
            "CI_API_V4_URL": server.url,
            "CI_PROJECT_ID": "42",
            "CI_MERGE_REQUEST_IID": "3",
            "GITLAB_TOKEN": "secret",
        }
    server.author = {"user": {"type": "Bot", "login": "github-actions[bot]"}}
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 3}}))
    return {
        "GITHUB_API_URL": server.url,
        "GITHUB_REPOSITORY": "team/repo",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_TOKEN": "secret",
    }


def test_one_comment_is_kept_up_to_date(job, server):
    assert post_comment(TEXT, job) == "posted the comment"
    assert post_comment(TEXT + "new\n", job) == "brought the comment up to date"
    assert [c["body"] for c in server.comments] == [TEXT + "new\n"]
    assert post_comment(TEXT.replace("suite -->", "other -->"), job) == "posted the comment"
    assert len(server.comments) == 2
    path = "/repos/team/repo/issues/3/comments" if "GITHUB_TOKEN" in job else "/projects/42/merge_requests/3/notes"
    assert ("POST", path, "Bearer secret" if "GITHUB_TOKEN" in job else "secret") in server.calls


def test_it_is_found_behind_many_others(job, server):
    other = {"body": "hello", "user": {"type": "User"}, "author": {"id": 1}}
    server.comments = [{"id": i + 1, **other} for i in range(250)]
    post_comment(TEXT, job)
    post_comment(TEXT, job)
    assert len(server.comments) == 251


def test_what_a_person_wrote_is_left_alone(job, server):
    server.comments = [{"id": 1, "body": TEXT, "user": {"type": "User", "login": "eve"}, "author": {"id": 1}}]
    assert post_comment(TEXT + "new", job) == "posted the comment"
    assert server.comments[0]["body"] == TEXT


def test_a_token_of_a_person_finds_its_own(job, server):
    server.who = {"id": 7, "login": "me"}
    server.author = {"user": {"type": "User", "login": "me"}, "author": {"id": 7}}
    post_comment(TEXT, job)
    assert post_comment(TEXT, job) == "brought the comment up to date"


def test_no_request_no_comment(server, tmp_path):
    event = tmp_path / "push.json"
    event.write_text('{"ref": "refs/heads/main"}')
    assert post_comment(TEXT, {"GITHUB_EVENT_PATH": str(event)}) is None
    assert post_comment(TEXT, {"CI_API_V4_URL": server.url}) is None
    assert server.calls == []


@pytest.mark.parametrize("status", [403, 500, 302])
def test_a_refusal_is_said_without_the_token(job, server, status, tmp_path, monkeypatch, capsys):
    server.refuse = status
    with pytest.raises(RunError) as caught:
        post_comment(TEXT, job)
    assert str(status) in str(caught.value)
    assert "secret" not in str(caught.value)
    assert ("may not comment" in str(caught.value)) is (status == 403)
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "gate.md"
    path.write_text(TEXT, encoding="utf-8")
    assert main([str(path)]) == 3
    assert capsys.readouterr().err.startswith("evalharness: Git")


def test_what_is_missing_is_named(job, server, tmp_path):
    for name in ("GITHUB_TOKEN", "GITHUB_API_URL", "GITHUB_REPOSITORY", "GITLAB_TOKEN", "CI_PROJECT_ID"):
        if name in job:
            with pytest.raises(UsageError, match=name):
                post_comment(TEXT, {k: v for k, v in job.items() if k != name})
    with pytest.raises(UsageError, match="no job of GitHub or GitLab"):
        post_comment(TEXT, {})
    with pytest.raises(UsageError, match="no mark"):
        post_comment("hello", job)
    if "GITHUB_API_URL" in job:
        with pytest.raises(UsageError, match="no address"):
            post_comment(TEXT, {**job, "GITHUB_API_URL": "file:///etc"})
        with pytest.raises(UsageError, match="cannot be read"):
            post_comment(TEXT, {**job, "GITHUB_EVENT_PATH": str(tmp_path / "none")})
    assert server.comments == []


def test_a_server_that_is_not_there(job, server):
    url = "http://127.0.0.1:9"
    gone = {k: url if v == server.url else v for k, v in job.items()}
    with pytest.raises(RunError, match="cannot be asked"):
        post_comment(TEXT, gone)


def test_the_command_line(capsys, tmp_path):
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert main([str(tmp_path / "none.md")]) == 2
    assert "cannot be read" in capsys.readouterr().err
