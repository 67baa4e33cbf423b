# The page and the interface for programs, as `mien serve`. Build: docker build -t mien .
# Run: docker run --rm --read-only --cap-drop ALL --security-opt no-new-privileges -p 127.0.0.1:8000:8000 mien
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md MODEL_CARD.md LICENSE constraints.txt ./
COPY src src
RUN python -m venv /mien && /mien/bin/pip install --no-cache-dir --constraint constraints.txt '.[web]'

FROM python:3.12-slim
COPY --from=build /mien /mien
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65534:65534
EXPOSE 8000
HEALTHCHECK CMD ["/mien/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz')"]
ENTRYPOINT ["/mien/bin/mien", "serve", "--host", "0.0.0.0"]
