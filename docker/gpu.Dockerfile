# Training, evaluation and the judge on NVIDIA GPUs: the lines of docs/install.md for constraints/gpu-3.12.txt. Not yet run.
#   docker build -f docker/gpu.Dockerfile -t ergo-plugins:gpu .
#   docker run --rm -it --gpus all --shm-size 16g ergo-plugins:gpu
# nvcc 13 is what flash-attn is compiled with, and Ubuntu 24.04 has Python 3.12.
FROM nvidia/cuda:13.0.2-devel-ubuntu24.04
# each job of flash-attn's compilation takes gigabytes of memory
ENV DEBIAN_FRONTEND=noninteractive PIP_NO_CACHE_DIR=1 MAX_JOBS=4 PATH=/opt/ergo/bin:$PATH
RUN apt-get update && apt-get install -y --no-install-recommends build-essential git python3-dev python3-venv && \
    rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/ergo
WORKDIR /ergo-plugins
COPY . .
RUN pip install -c constraints/gpu-3.12.txt -e '.[eval,verl,vllm]'
RUN pip install 'setuptools>=77,<81' wheel ninja psutil packaging && pip install flash-attn==2.8.3 --no-build-isolation
CMD ["bash"]
