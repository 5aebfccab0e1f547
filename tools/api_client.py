"""A job from upload to result by a client that openapi-python-client has made of the server's own document."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, sys.argv[1])

from rife_client import Client  # noqa: E402
from rife_client.api.default import (  # noqa: E402
    create_job,
    create_upload,
    delete_upload,
    get_job,
    get_result,
    get_upload,
    health,
    keep_frame,
    list_jobs,
    plan,
    probe_result,
)
from rife_client.models import (  # noqa: E402
    ChainOptions,
    ChainRequest,
    Error,
    FrameRequest,
    ImagesOptions,
    ImagesOptionsExt,
    ImagesRequest,
    JobState,
    NewUpload,
    ReencodeOptions,
    ReencodeRequest,
    UploadRef,
    VideoOptions,
    VideoRequest,
)
from rife_client.types import File  # noqa: E402

client = Client(base_url=sys.argv[2] + "/api/v1", raise_on_unexpected_status=True)


def run(request):
    """Runs a job to its end."""
    job = create_job.sync(client=client, body=request)
    assert not isinstance(job, Error), job
    while job.state in (JobState.QUEUED, JobState.RUNNING):
        time.sleep(0.1)
        job = get_job.sync(job.id, client=client)
    assert job.state == JobState.DONE, job
    return job


def clip(folder):
    """A clip of 10 frames at 25 a second."""
    path = Path(folder) / "in.mp4"
    source = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25", "-frames:v", "10"]
    subprocess.run(["ffmpeg", "-v", "error", *source, "-pix_fmt", "yuv420p", path], check=True)
    return path.read_bytes()


assert health.sync(client=client).status == "ok"
with tempfile.TemporaryDirectory() as folder:
    upload = create_upload.sync(client=client, name="in.mp4", body=File(payload=clip(folder)))
source = UploadRef(upload=upload.id)

# Options that exclude each other have no defaults that a client would send: a rate alone is a rate alone.
request = VideoRequest(kind="video", inputs=[source], options=VideoOptions(fps=50))
assert request.to_dict()["options"] == {"fps": 50}, request.to_dict()
assert plan.sync(client=client, body=request).output_frames == 20
job = run(request)
assert job.summary.additional_properties["frames_out"] == 20, job
assert probe_result.sync(job.id, job.files[0].name, client=client).frames == 20
result = get_result.sync_detailed(job.id, job.files[0].name, client=client)
assert len(result.content) == job.files[0].bytes_

frames = [keep_frame.sync(client=client, body=FrameRequest(input_=source, frame=n)) for n in (1, 10)]
pictures = [UploadRef(upload=frame.id) for frame in frames]
one = run(ImagesRequest(kind="images", inputs=pictures, options=ImagesOptions(timestep=0.5, ext=ImagesOptionsExt.PNG)))
assert [file.name for file in one.files] == ["result.png"], one
chain = run(ChainRequest(kind="chain", inputs=[source, source], options=ChainOptions(passes=1, scale=0.5)))
assert chain.summary.additional_properties["clips"] == 2, chain
run(ReencodeRequest(kind="reencode", inputs=[source], options=ReencodeOptions(force=True)))
assert [job.kind for job in list_jobs.sync(client=client).items] == ["reencode", "chain", "images", "video"]

reserved = create_upload.sync(client=client, body=NewUpload(name="later.mp4", size=1000))
assert get_upload.sync(reserved.id, client=client).received == 0
delete_upload.sync_detailed(reserved.id, client=client)
assert get_upload.sync(reserved.id, client=client).error.code == "not_found"
print("a generated client has run jobs of every kind")
