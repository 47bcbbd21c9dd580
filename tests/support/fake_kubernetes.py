# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stand-in for a Kubernetes API server and a kubelet, as far as virtjoule-attributor asks them. It serves documents of the
shape that the API reference gives (v1 Pod, PodList, WatchEvent, Status; apps/v1 ReplicaSet; batch/v1 Job), over TLS, HTTP/1.1.
It is no Kubernetes: nothing here shows what a real cluster does."""

import http.server
import json
import os
import re
import socket
import ssl
import subprocess
import threading
import urllib.parse

NODE = "node-1"


class Authority:
    """A certificate authority of its own, made by openssl."""

    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.key, self.cert = self.path(name + ".key"), self.path(name + ".crt")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
                     self.key, "-out", self.cert, "-subj", f"/CN=test {name}", "-days", "2")

    def path(self, name):
        return os.path.join(self.directory, name)

    def openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.directory)

    def issue(self, name, alternative):
        """A certificate and its key in one file; alternative: IP:127.0.0.1, DNS:node-1."""
        key, request, cert, both = (self.path(f"{name}.{end}") for end in ("key", "csr", "crt", "pem"))
        with open(self.path(name + ".ext"), "w", encoding="ascii") as out:
            out.write(f"subjectAltName={alternative}\n")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out",
                     request, "-subj", f"/CN={name}")
        self.openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-out", cert,
                     "-days", "2", "-extfile", self.path(name + ".ext"))
        with open(both, "w", encoding="ascii") as out:
            for part in (cert, key):
                with open(part, encoding="ascii") as text:
                    out.write(text.read())
        return both


def owner(api, kind, name, uid):
    return {"apiVersion": api, "kind": kind, "name": name, "uid": uid, "controller": True, "blockOwnerDeletion": True}


def pod(uid, namespace, name, containers=(), owner_reference=None, labels=None, annotations=None, init=()):
    """containers, init: (name, id)."""
    def status(container):
        return {"name": container[0], "containerID": f"containerd://{container[1]}", "image": f"docker.io/{container[0]}:1",
                "imageID": "sha256:0", "lastState": {}, "ready": True, "restartCount": 0, "started": True,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    metadata = {"name": name, "namespace": namespace, "uid": uid, "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": labels or {}, "annotations": annotations or {},
                "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": {"f:status": {}}}]}
    if owner_reference:
        metadata["ownerReferences"] = [owner_reference]
    return {"metadata": metadata,
            "spec": {"nodeName": NODE, "containers": [{"name": name, "image": "i"} for name, _ in containers]},
            "status": {"phase": "Running", "qosClass": "Burstable",
                       "initContainerStatuses": [status(one) for one in init],
                       "containerStatuses": [status(one) for one in containers]}}


def refusal(code, reason, message):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
            "code": code}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, code, document, headers=()):
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        fake = self.server.fake
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        generation, instead = fake.note(self, url.path, query)
        if fake.token is not None and self.headers.get("Authorization") != f"Bearer {fake.token}":
            self.answer(401, refusal(401, "Unauthorized", "Unauthorized"))
            return
        for pattern, answer in instead:
            if re.fullmatch(pattern, self.path):
                answer(self)
                return
        self.route(fake, url.path, query, generation)

    def route(self, fake, path, query, generation):
        if path == "/pods":
            self.answer(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": fake.items()})
        elif path == "/api/v1/pods" and query.get("watch") == "true":
            self.watch(fake, int(query["resourceVersion"]), generation)
        elif path == "/api/v1/pods":
            assert query["fieldSelector"] == f"spec.nodeName={NODE}", query
            with fake.changed:
                document = {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": str(fake.version)},
                            "items": fake.items()}
            self.answer(200, document)
        elif path in fake.objects:
            self.answer(200, fake.objects[path])
        else:
            self.answer(404, refusal(404, "NotFound", "not found"))

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, kind, document):
        self.chunk(json.dumps({"type": kind, "object": document}).encode() + b"\n")

    def watch(self, fake, version, generation):
        self.begin_stream()
        if version < fake.oldest:
            self.event("ERROR", refusal(410, "Expired", f"too old resource version: {version} ({fake.oldest})"))
            self.chunk(b"")
            return
        while True:
            with fake.changed:
                fake.changed.wait_for(lambda: fake.events_after(version) or fake.generation != generation)
                events = fake.events_after(version)
                if not events:
                    break
            for version, kind, document in events:
                self.event(kind, document)
            fake.note_told(version)
        self.chunk(b"")  # the end of an ordinary watch


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """A client that hangs up, or that does not like the certificate."""

    def get_request(self):
        connection, address = super().get_request()
        connection.settimeout(60)
        self.fake.connections.append(connection)
        return connection, address


class LateTls(Server):
    """The handshake is the thread's, so that one that fails holds nobody up."""

    def finish_request(self, request, client_address):
        request = self.fake.tls.wrap_socket(request, server_side=True)
        self.fake.connections.append(request)
        super().finish_request(request, client_address)


class FakeKubernetes:
    def __init__(self, certificate=None, token="first"):
        self.token = token
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate)
            self.tls.set_alpn_protocols(["h2", "http/1.1"])  # as API servers do; but nothing here speaks h2
        self.pods = {}
        self.objects = {}  # path -> document
        self.instead = []  # (pattern of path and query, function of the handler)
        self.events = []  # (version, type, document)
        self.version = 100
        self.oldest = 0
        self.told = 0  # up to this version, to somebody
        self.generation = 0
        self.changed = threading.Condition()
        self.requests = []
        self.connections = []
        self.port = 0
        self.start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def start(self):
        self.server = (LateTls if self.tls else Server)(("127.0.0.1", self.port), Handler)
        self.server.fake = self
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def stop(self):
        """As a process that dies: the port closes, and all connections break."""
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
        self.connections.clear()
        self.end_watches()

    def end_watches(self):
        with self.changed:
            self.generation += 1
            self.changed.notify_all()

    def note(self, handler, path, query):
        """From here on whoever counts requests knows of it, so what is asked for after that holds for the next ones: returns the
        generation of watches and the special answers of this very moment."""
        with self.changed:
            self.requests.append((path, query, handler.headers.get("Authorization")))
            self.changed.notify_all()
            return self.generation, list(self.instead)

    def note_told(self, version):
        with self.changed:
            self.told = max(self.told, version)

    def count(self, path, **query):
        with self.changed:
            return sum(one[0] == path and all(one[1].get(k) == v for k, v in query.items()) for one in self.requests)

    def lists(self):
        with self.changed:
            return sum(one[0] == "/api/v1/pods" and "watch" not in one[1] for one in self.requests)

    def watches(self):
        return self.count("/api/v1/pods", watch="true")

    def items(self):
        return list(self.pods.values())

    def events_after(self, version):
        return [event for event in self.events if event[0] > version]

    def tell(self, kind, document):
        with self.changed:
            self.version += 1
            document.setdefault("metadata", {})["resourceVersion"] = str(self.version)
            told = {"kind": "Pod", "apiVersion": "v1", **document}
            self.events.append((self.version, kind, json.loads(json.dumps(told))))
            self.changed.notify_all()

    def put(self, document):
        kind = "MODIFIED" if document["metadata"]["uid"] in self.pods else "ADDED"
        self.pods[document["metadata"]["uid"]] = document
        self.tell(kind, document)

    def bookmark(self):
        self.tell("BOOKMARK", {"metadata": {}, "spec": {"containers": None}, "status": {}})

    def forget_history(self):
        """As etcd's compaction does: what is older than now cannot be watched from."""
        with self.changed:
            self.oldest = self.version
            self.events = []

    def put_object(self, api, resource, namespace, name, uid, owner_reference=None):
        metadata = {"name": name, "namespace": namespace, "uid": uid}
        if owner_reference:
            metadata["ownerReferences"] = [owner_reference]
        self.objects[f"/apis/{api}/namespaces/{namespace}/{resource}/{name}"] = {
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
