# One image for all processes: `docker run IMAGE api`, `docker run IMAGE worker draft`, …

# By digest, where you build for more than a trial: --build-arg PYTHON=python:3.12-slim-bookworm@sha256:…
ARG PYTHON=python:3.12-slim-bookworm
FROM $PYTHON AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/fast-reply
WORKDIR /src
COPY pyproject.toml README.md LICENSE hatch_build.py fast_reply.py ./
COPY api api
COPY cli cli
COPY common common
COPY simulator simulator
COPY workers workers
RUN /opt/fast-reply/bin/pip install '.[knowledge,speech]' && /opt/fast-reply/bin/pip uninstall --yes pip

FROM $PYTHON
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin fast-reply
COPY --from=build /opt/fast-reply /opt/fast-reply
ENV PATH=/opt/fast-reply/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 FAST_REPLY_HOST=0.0.0.0
# The volumes of the first tenant's key and of the store's user are the user's, as these folders are; the store's
# server, another user, reads its part of the second.
RUN install --directory --owner 10001 --group 10001 --mode 700 /keys \
 && install --directory --owner 10001 --group 10001 --mode 755 /store
# An index is written by threads; what they took is given back.
ENV MALLOC_ARENA_MAX=2
WORKDIR /tmp
# By number, so that Kubernetes can see that it is not root.
USER 10001
EXPOSE 8000
ENTRYPOINT ["fast-reply"]
CMD ["--help"]
