# docker build -t llasa-dataset .
# docker run --rm --gpus all -v "$PWD":/work llasa-dataset create clips/ metadata.csv -o out/ --config configs/xcodec2.yaml --bf16
#
# torch's wheels bring the CUDA runtime, so the base is plain Python; the host needs NVIDIA's driver and container toolkit.
FROM python:3.11-slim-bookworm

# g++ builds the processor's activation at first use, and Triton's launcher on a GPU.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*

ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

# The packages are a layer of their own: a change of the code does not fetch torch again.
WORKDIR /src
COPY pyproject.toml constraints.txt README.md ./
RUN python -c "import tomllib; print('\n'.join(tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies']))" \
        > requirements.txt \
    && python -m pip install --constraint constraints.txt --requirement requirements.txt

COPY pipeline pipeline
COPY configs configs
COPY data/sample data/sample
RUN python -m pip install --no-deps . && rm -rf /src

RUN useradd --create-home --uid 1000 llasa
USER llasa
WORKDIR /work
ENTRYPOINT ["llasa-dataset"]
CMD ["--help"]
