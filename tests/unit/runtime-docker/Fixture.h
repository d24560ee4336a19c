#pragma once

#include "DockerRuntime.h"
#include "EngineHttp.h"
#include "FakeEngine.h"
#include "support/TempDir.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <string>

namespace matrixos::docker::test {

using matrixos::test::FakeAnswer;
using matrixos::test::FakeEngine;
using matrixos::test::FakeRequest;
using matrixos::test::TempDir;

inline std::string inspectBody(const std::string &state, const std::string &labels = "{}") {
  return R"({"Id": "c0ffee", "Name": "/matrixos-alice", "Image": "sha256:1", "RestartCount": 2, "Created": "2026-11-23T15:12:51.7Z",
    "State": {"Status": ")" +
         state + R"(", "ExitCode": 7, "OOMKilled": false, "Error": "", "StartedAt": "2026-11-23T15:12:51.71763906Z"},
    "Config": {"Image": "img:1", "Labels": )" +
         labels + R"(}, "HostConfig": {"NetworkMode": "matrixos-net"},
    "NetworkSettings": {"Networks": {"matrixos-net": {"NetworkID": "n1", "IPAddress": "172.18.0.5"}},
                        "Ports": {"4000/tcp": [{"HostIp": "127.0.0.1", "HostPort": "4001"}], "3000/tcp": null}}})";
}

/// A runtime in front of a fake engine that is healthy and has one running container, matrixos-alice.
struct Fixture {
  Fixture() : engine(directory.path()), http(EngineEndpoint::parse(engine.endpoint())), runtime(http, settings) {
    using matrixos::test::answer;
    settings.installId = "install-1";
    const std::string container = "/containers/matrixos-alice";
    engine.on("GET", container + "/json", answer(200, inspectBody("running")));
    engine.on("GET", "/containers/c0ffee/json", answer(200, inspectBody("running")));
    engine.on("GET", "/containers/json", answer(200, R"([{"Id": "c0ffee"}])"));
    for (const char *verb : {"/start", "/stop", "/pause", "/unpause"}) {
      engine.on("POST", container + verb, answer(204, ""));
    }
    engine.on("DELETE", container, answer(204, ""));
    engine.on("GET", container + "/stats", answer(200, R"({"cpu_stats": {"cpu_usage": {"total_usage": 5}}})"));
    engine.on("GET", container + "/logs", matrixos::test::chunked(200, {}));
    engine.on("GET", "/events", matrixos::test::chunked(200, {}));
    engine.on("GET", "/images/img%3A1/json", answer(200, R"({"Id": "sha256:1", "RepoDigests": ["img@sha256:2"]})"));
    engine.on("POST", "/images/create", matrixos::test::chunked(200, {"{\"status\":\"done\"}\r\n"}));
    engine.on("GET", "/networks/matrixos-net", answer(200, R"({"Id": "n1", "Name": "matrixos-net"})"));
    engine.on("GET", "/networks", answer(200, R"([{"Id": "n1", "Name": "matrixos-net", "Created": "1"}])"));
    engine.on("POST", "/networks/create", answer(201, R"({"Id": "n1"})"));
    engine.on("POST", "/containers/create", answer(201, R"({"Id": "c0ffee", "Warnings": []})"));
  }

  TempDir directory;
  FakeEngine engine;
  Settings settings;
  EngineHttp http;
  DockerRuntime runtime;
};

inline Error failure(const std::function<void()> &action) {
  try {
    action();
  } catch (const Error &e) {
    return Error(e.status(), e.what(), e.reason(), e.retryAfterMs());
  }
  return Error(Status::Ok, "nothing was thrown");
}

inline bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

constexpr const char *kSpec = R"({"name": "matrixos-alice", "image": "img:1", "networks": [{"name": "matrixos-net"}],
  "ports": [{"name": "gateway", "containerPort": 4000, "hostPort": 4001}], "hostAliases": ["proxy"]})";

const ItemFn kTakeAll = [](std::string_view) { return true; };

} // namespace matrixos::docker::test
