"""Runs where Qualcomm's client is installed: does what lines of JSON ask, and answers with lines.

It stands alone, because nothing of sam2lab is installed there. Arrays cross as .npz files, one
array a name, whose first axis counts the samples.
"""

import json
import os
import signal
import sys
from typing import Any


def answer_all() -> None:
    """Answer each line of stdin on stdout; what the client prints goes to stderr."""
    # The parent decides what an interrupt ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    # The modules beside this file are not the client's.
    sys.path.pop(0)
    service: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            service = service or Service()
            answer = {"value": getattr(service, asked.pop("verb"))(**asked)}
        except Exception as error:
            answer = {"reason": _reason(error), "error": _plain(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


class Service:
    """The client's verbs, with ids and paths in place of its objects."""

    def __init__(self) -> None:
        import qai_hub

        self.hub = qai_hub
        self.client = qai_hub.Client()
        # It reads the token.
        self.client.set_verbose(True)

    def devices(self, name: str = "") -> list[dict[str, Any]]:
        """The devices of this name, or all."""
        found = self.client.get_devices(name)
        return [{"name": d.name, "os": d.os, "attributes": list(d.attributes)} for d in found]

    def upload_model(self, path: str, name: str) -> str:
        """Upload a file; its id."""
        return self.client.upload_model(path, name=name).model_id

    def upload_data(self, path: str, name: str) -> str:
        """Upload the arrays of an .npz file; the id of the dataset."""
        import numpy

        with numpy.load(path) as stored:
            data = {key: [*stored[key]] for key in stored.files}
        return self.client.upload_dataset(data, name=name).dataset_id

    def quantize(self, model: str, dataset: str, name: str) -> str:
        """Submit a job that puts weights and activations in 8 bits; its id."""
        eight = self.hub.QuantizeDtype.INT8
        job = self.client.submit_quantize_job(
            self.client.get_model(model),
            self.client.get_dataset(dataset),
            eight,
            eight,
            name=name,
        )
        return job.job_id

    def compile(self, model: str, device: str, options: str, name: str) -> str:
        """Submit a job that compiles; its id."""
        job = self.client.submit_compile_job(
            self.client.get_model(model),
            self.hub.Device(device),
            name=name,
            options=options,
            retry=False,
        )
        return job.job_id

    def run(self, model: str, device: str, dataset: str, name: str) -> str:
        """Submit a job that profiles, and computes the outputs of each sample; its id."""
        job = self.client.submit_inference_job(
            self.client.get_model(model),
            self.hub.Device(device),
            self.client.get_dataset(dataset),
            name=name,
            retry=False,
        )
        return job.job_id

    def state(self, job: str) -> dict[str, str]:
        """How far a job is, and the id of the model that it makes."""
        found = self.client.get_job(job)
        status = found.get_status()
        makes = status.success and hasattr(found, "get_target_model")
        made = found.get_target_model() if makes else None
        return {
            "state": status.code,
            "message": status.message or "",
            "url": found.url,
            "model": made.model_id if made else "",
        }

    def download_model(self, model: str, folder: str) -> str:
        """Download into a folder; the file's path, whose ending is the server's choice."""
        return self.client.get_model(model).download(os.path.join(folder, "model"))

    def download_profile(self, job: str) -> dict[str, Any]:
        """Times, memory and layers, in the client's form."""
        return self.client.get_job(job).download_profile()

    def download_outputs(self, job: str, path: str) -> None:
        """Write what a job computed to an .npz file."""
        import numpy

        outputs = self.client.get_job(job).download_output_data()
        if not outputs:
            raise ValueError("the job has no outputs")
        stacked: dict[str, Any] = {name: numpy.stack(each) for name, each in outputs.items()}
        numpy.savez(path, **stacked)


def _plain(error: Exception) -> str:
    """A message on one line, without the box that the client draws."""
    return " ".join(str(error).translate(str.maketrans("┌┐└┘─│|", " " * 7)).split())


def _reason(error: Exception) -> str:
    text, kind = str(error), type(error).__name__
    if kind == "RateLimitedError":
        return "busy"
    if "authenticate" in text or "configuration file" in text or "API token" in text:
        return "token"
    if kind == "UserError" and text.startswith("Device(") and "is not available" in text:
        return "device"
    if kind == "InternalError" or "Connection" in kind:
        return "unreachable"
    return "refused" if kind == "UserError" else "client"


if __name__ == "__main__":
    answer_all()
