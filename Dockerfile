# The one image of Ark: server, agents, restic-wait and maintenance Jobs. Nothing is downloaded in it.
# `python hack/image/build.py context .` puts what it copies into build/; `build/` is not part of the repository.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS dependencies
COPY build/wheels /wheels
RUN python3 -m venv /opt/ark && /opt/ark/bin/pip install --no-cache-dir --no-index --no-deps /wheels/*.whl

FROM ${BASE}
COPY build/restic /usr/bin/restic
COPY --from=dependencies /opt/ark /opt/ark
COPY build/ark /opt/ark/wheel
RUN /opt/ark/bin/pip install --no-cache-dir --no-index --no-deps /opt/ark/wheel/*.whl \
 && ln -s /opt/ark/bin/ark /opt/ark/bin/ark-restic-restore-helper /usr/local/bin/ \
 && setpriv --version && restic version
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ENTRYPOINT ["/usr/local/bin/ark"]
