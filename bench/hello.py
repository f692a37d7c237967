"""A bare FastAPI app, which `meterline bench api` measures beside ours: `python -m bench.hello PORT`."""

import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def hello() -> dict[str, str]:
    """The least that an app can say."""
    return {"hello": "world"}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", access_log=False, log_level="warning")
