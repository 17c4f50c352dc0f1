# The one image of Ark: server, agents, restic-wait and maintenance Jobs. Nothing is downloaded in it.
# `hack/image/build.py context .` puts what it copies into build/, which is not part of the repository.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

# kubernetes/aio is a second, asynchronous client that nothing imports: a quarter of the image.
FROM ${BASE} AS dependencies
COPY build/restic /usr/bin/restic
COPY build/requirements.txt /opt/ark/requirements.txt
RUN --mount=type=bind,source=build/wheels,target=/wheels \
    python3 -m venv /opt/ark \
 && /opt/ark/bin/pip install --no-cache-dir --no-index --find-links=/wheels --require-hashes \
    --requirement=/opt/ark/requirements.txt \
 && rm -rf /opt/ark/lib/python3.*/site-packages/kubernetes/aio \
 && setpriv --version && restic version

FROM dependencies
COPY build/ark /opt/ark/wheel
RUN /opt/ark/bin/pip install --no-cache-dir --no-index --no-deps /opt/ark/wheel/*.whl \
 && ln -s /opt/ark/bin/ark /opt/ark/bin/ark-restic-restore-helper /usr/local/bin/
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ENTRYPOINT ["/usr/local/bin/ark"]
