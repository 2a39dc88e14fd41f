"""A stand-in for Qualcomm AI Hub on this machine, which speaks the client's own messages.

Runs in the client's environment: PYTHON stand_in.py RUN..., where RUN... is a command that computes
`MODEL.onnx INPUTS.npz OUTPUTS.npz` as a device would. Prints its URL. `POST /control` with JSON
sets attributes of `Cloud`, and answers with what was asked so far.
"""

import email.parser
import email.policy
import http.server
import json
import re
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from pathlib import Path

import h5py
import numpy as np
from qai_hub import public_api_pb2 as pb
from qai_hub.util.dataset_entries_converters import dataset_entries_to_h5, h5_to_dataset_entries

DEVICES = [
    ("Samsung Galaxy S24", "14", "qualcomm-snapdragon-8gen3"),
    ("Samsung Galaxy S24 Ultra", "14", "qualcomm-snapdragon-8gen3"),
    ("Snapdragon X Elite CRD", "11", "qualcomm-snapdragon-x-elite"),
]
FRAMEWORKS = [f"framework:{name}" for name in ("tflite", "qnn", "onnx")]
TARGETS = {
    "tflite": (".tflite", pb.MODEL_TYPE_TFLITE),
    "qnn_dlc": (".dlc", pb.MODEL_TYPE_QNN_DLC),
    "onnx": (".onnx", pb.MODEL_TYPE_ONNX),
}


class Cloud:
    """What the service knows, and how it misbehaves."""

    def __init__(self, run):
        self.run = run
        self.url = ""
        self.token = "right"
        self.fail = ""  # the kind of job that fails
        self.throttled = 0  # how many jobs are refused with 429
        self.busy = 1  # for how many looks a job waits for a device
        self.broken = 0  # how many downloads break off
        self.forget()

    def forget(self):
        """Everything that was uploaded and submitted."""
        self.models, self.datasets, self.files = {}, {}, {}
        self.jobs, self.looks, self.requests = {}, {}, []

    def control(self, wanted):
        if wanted.pop("forget", False):
            self.forget()
        vars(self).update(wanted)
        return {
            "requests": self.requests,
            "jobs": {
                id: [kind, getattr(job, kind).options] for id, (kind, job) in self.jobs.items()
            },
        }

    def answer(self, verb, path, query, headers, body):
        """Status and message or bytes for a request."""
        self.requests.append(f"{verb} {re.sub(r'[jmd][0-9]{4}', 'ID', path)}")
        if path.startswith("/files/"):
            return self.store(verb, path.removeprefix("/files/"), headers, body)
        if headers["Authorization"] != f"token {self.token}":
            return 401, b"Invalid token."
        match [verb, *path.removeprefix("/api/v1/").strip("/").split("/")]:
            case ["GET", "devices"]:
                found = [
                    pb.Device(name=n, os=o, attributes=[f"chipset:{c}", *FRAMEWORKS])
                    for n, o, c in DEVICES
                    if query.get("name", "") in ("", n)
                ]
                return 200, pb.DeviceList(devices=found, total_query_count=len(found))
            case ["POST", "models"]:
                model = pb.Model.FromString(body)
                return self.created(self.models, "m", model, "model_id")
            case ["GET", "models", id]:
                return 200, self.models[id]
            case ["GET", "models", id, "multipart_upload"]:
                urls = pb.FileMultipartUploadURL(
                    urls=[f"{self.url}/files/{id}"], upload_id="u", max_part_size=1 << 30
                )
                return 200, pb.FileUploadResponse(multipart_url=urls)
            case ["POST", "models", id, "multipart_upload"]:
                self.models[id].file_upload_complete = True
                return 200, pb.CreateUpdateResponse(id=id)
            case ["POST", "datasets"]:
                dataset = pb.Dataset.FromString(body)
                return self.created(self.datasets, "d", dataset, "dataset_id")
            case ["GET", "datasets", id]:
                return 200, self.datasets[id]
            case ["PATCH", "datasets", id]:
                return 200, pb.CreateUpdateResponse(id=id)
            case ["GET", "datasets", id, "upload_url"]:
                url = pb.FileUploadURL(url=f"{self.url}/files/{id}", file_field_name="file")
                return 200, pb.FileUploadResponse(url=url)
            case ["GET", "models" | "datasets", id, "download" | "download_data"]:
                name = self.models[id].name if id in self.models else "data.h5"
                url = pb.FileDownloadURL(url=f"{self.url}/files/{id}", filename=name)
                return 200, pb.FileDownloadResponse(url=url)
            case ["POST", "jobs"]:
                return self.submitted(pb.Job.FromString(body))
            case ["GET", "jobs", id]:
                return 200, self.looked_at(id)
            case ["GET", "jobs", id, "result"]:
                return 200, self.result(id)
        return 404, f"no {verb} {path}".encode()

    def store(self, verb, name, headers, body):
        """What is a bucket in truth: without a token."""
        if verb == "PUT":
            self.files[name] = body
        elif verb == "POST":
            head = b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n"
            form = email.message_from_bytes(head + body, policy=email.policy.default)
            parts = {
                p.get_param("name", header="content-disposition"): p for p in form.iter_parts()
            }
            self.files[name] = parts["file"].get_payload(decode=True)
        else:
            return 200, self.files[name]
        return 200, b""

    def created(self, place, letter, message, field):
        id = f"{letter}{len(self.models) + len(self.datasets) + len(self.jobs):04}"
        setattr(message, field, id)
        message.creation_time.GetCurrentTime()
        place[id] = message
        return 201, pb.CreateUpdateResponse(id=id, creation_time=message.creation_time)

    def submitted(self, job):
        if self.throttled:
            self.throttled -= 1
            return 429, b"Too many jobs."
        kind = job.WhichOneof("job")
        inner = getattr(job, kind)
        inner.job_state = pb.JOB_STATE_CREATED
        inner.model.CopyFrom(self.models[inner.model.model_id])
        status, answer = self.created({}, "j", inner, f"{kind}_id")
        if kind == "compile_job":
            inner.device.CopyFrom(inner.devices.devices[0])
        if kind in ("compile_job", "quantize_job"):
            runtime = re.search(r"--target_runtime (\w+)", inner.options)
            ending, model_type = TARGETS[runtime[1] if runtime else "onnx"]
            model = pb.Model(name=f"made{ending}", model_type=model_type, producer_id=answer.id)
            self.created(self.models, "m", model, "model_id")
            inner.target_model.CopyFrom(model)
        self.jobs[answer.id], self.looks[answer.id] = (kind, job), 0
        return status, answer

    def looked_at(self, id):
        kind, job = self.jobs[id]
        inner = getattr(job, kind)
        self.looks[id] += 1
        if inner.job_state in (pb.JOB_STATE_DONE, pb.JOB_STATE_FAILED) or self.looks[id] == 1:
            pass
        elif self.looks[id] <= self.busy:
            inner.job_state = pb.JOB_STATE_PROVISIONING_DEVICE
        elif self.fail == kind:
            inner.job_state = pb.JOB_STATE_FAILED
            inner.failure_reason = "Failed to convert: operator Gather is not supported"
        else:
            inner.job_state = pb.JOB_STATE_DONE
            if kind != "inference_job":
                made = inner.target_model.model_id
                self.files[made] = self.files[inner.model.model_id]
                self.models[made].file_upload_complete = True
        return job

    def result(self, id):
        """A profile in the numbers of no device, and what the model computes."""
        inner = self.jobs[id][1].inference_job
        profile = pb.ProfileDetail(
            major_version=1,
            minor_version=2,
            execution_time=49966,
            all_execution_times=[50100, 49966, 52000],
            layer_details=[
                pb.LayerDetail(name=name, layer_type_name="MatMul", compute_unit=unit)
                for name, unit in (("a", 3), ("b", 3), ("c", 1))
            ],
        )
        profile.execution_memory.peak.lower = 15 << 20
        profile.execution_memory.peak.upper = (1923 << 20) + 5
        found = pb.JobResult()
        found.inference_job_result.detail.CopyFrom(profile)
        outputs = self.computed(inner.model.model_id, inner.dataset.dataset_id)
        _, answer = self.created(self.datasets, "d", pb.Dataset(name="outputs"), "dataset_id")
        self.files[answer.id] = outputs
        found.inference_job_result.output_dataset_id = answer.id
        return found

    def computed(self, model, dataset):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "model.onnx").write_bytes(self.files[model])
            (place / "data.h5").write_bytes(self.files[dataset])
            with h5py.File(place / "data.h5") as stored:
                entries = h5_to_dataset_entries(stored)
            np.savez(place / "in.npz", **{name: np.stack(each) for name, each in entries.items()})
            files = [place / name for name in ("model.onnx", "in.npz", "out.npz")]
            subprocess.run([*self.run, *map(str, files)], check=True, timeout=120)
            with np.load(place / "out.npz") as stored, h5py.File(place / "out.h5", "w") as written:
                dataset_entries_to_h5({n: [*stored[n]] for n in stored.files}, written)
            return (place / "out.h5").read_bytes()


class Handler(http.server.BaseHTTPRequestHandler):
    cloud: Cloud
    protocol_version = "HTTP/1.1"
    # A connection that its other end has forgotten.
    timeout = 60

    def log_message(self, *_):
        pass

    def handle_request(self):
        path, _, query = self.path.partition("?")
        body = self.body()
        cloud = self.cloud
        if path == "/control":
            status, answer = 200, json.dumps(cloud.control(json.loads(body or b"{}"))).encode()
        else:
            asked = dict(urllib.parse.parse_qsl(query))
            status, answer = cloud.answer(self.command, path, asked, self.headers, body)
        is_message = not isinstance(answer, bytes)
        data = answer.SerializeToString() if is_message else answer
        breaks = cloud.broken and self.command == "GET" and path.startswith("/files/")
        self.send_response(status)
        self.send_header("Content-Type", f"application/{'x-protobuf' if is_message else 'binary'}")
        self.send_header("Content-Length", str(len(data) + (1000 if breaks else 0)))
        self.send_header("ETag", '"part"')
        self.end_headers()
        self.wfile.write(data)
        if breaks:
            cloud.broken -= 1
            self.close_connection = True

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    do_GET = do_POST = do_PUT = do_PATCH = handle_request


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.cloud = Cloud(sys.argv[1:])
    Handler.cloud.url = f"http://127.0.0.1:{server.server_port}"
    print(Handler.cloud.url, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # Ends with the tests, however they end.
    sys.stdin.read()
