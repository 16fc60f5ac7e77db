# The environment of recipes/environment.sh in an image: the page, the quickstart, the tiny trainings. Not yet run.
#   docker build -f docker/cpu.Dockerfile -t ergo-plugins:cpu .
#   docker run --rm -p 127.0.0.1:7860:7860 ergo-plugins:cpu
FROM python:3.11-bookworm
ENV PIP_NO_CACHE_DIR=1
WORKDIR /ergo-plugins
COPY . .
RUN bash recipes/environment.sh eval verl demo
# 127.0.0.1 of a container is nobody else's; who reaches the page is said by docker run -p
CMD ["bash", "recipes/demo.sh", "--host", "0.0.0.0"]
