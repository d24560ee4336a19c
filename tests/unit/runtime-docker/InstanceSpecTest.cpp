#include "InstanceSpec.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>

using namespace matrixos;
using namespace matrixos::docker;

namespace {

/// The seed's instance, and every way to ask for more than it may have.
constexpr const char *kFull = R"({"name": "matrixos-alice", "image": "ghcr.io/hamedmp/matrix-os:latest",
  "labels": {"k": "v"}, "env": {"MATRIX_HANDLE": "alice", "PORT": "4000"}, "command": ["node", "x"],
  "memoryBytes": 268435456, "cpus": 0.5, "restart": "unless-stopped", "networks": [{"name": "matrixos-net"}],
  "hostAliases": ["proxy"], "volumes": [{"volume": "/data/users/alice/matrixos", "path": "/home/matrixos/home"}],
  "ports": [{"name": "gateway", "containerPort": 4000, "hostPort": 4001}, {"name": "shell", "containerPort": 3000}],
  "Privileged": true, "HostConfig": {"Privileged": true, "Binds": ["/:/host"]}, "Binds": ["/:/host"],
  "Devices": ["/dev/mem"], "PidMode": "host", "UsernsMode": "host", "CapAdd": ["SYS_ADMIN"]})";

json::Object::Ptr body(const Settings &settings = {}) {
  return json::parseObject(createBody(readSpec(kFull), settings, "host-gateway"));
}

Status refusal(const std::string &member) {
  const std::string text = R"({"name": "n", "image": "i", )" + member + "}";
  mos_error error{};
  return static_cast<Status>(guarded(&error, [&] { readSpec(text); }));
}

} // namespace

TEST_CASE("the engine gets the typed fields and not one more") {
  const auto object = body();
  CHECK(object->getNames() ==
        Poco::JSON::Object::NameList{"Cmd", "Env", "ExposedPorts", "HostConfig", "Image", "Labels"});
  const auto host = object->getObject("HostConfig");
  CHECK(host->getNames() == Poco::JSON::Object::NameList{"CapAdd", "CapDrop", "ExtraHosts", "LogConfig", "Memory",
                                                         "MemorySwap", "Mounts", "NanoCpus", "NetworkMode", "PidsLimit",
                                                         "PortBindings", "RestartPolicy", "SecurityOpt"});
  CHECK(json::getString(*object, "Image") == "ghcr.io/hamedmp/matrix-os:latest");
  CHECK(object->getArray("Env")->getElement<std::string>(0) == "MATRIX_HANDLE=alice");
  CHECK(object->getArray("Cmd")->size() == 2);
  CHECK(object->getObject("ExposedPorts")->size() == 2);
  CHECK(host->getValue<Poco::Int64>("Memory") == 268435456);
  CHECK(host->getValue<Poco::Int64>("MemorySwap") == 268435456);
  CHECK(host->getValue<Poco::Int64>("NanoCpus") == 500000000);
  CHECK(host->getValue<int>("PidsLimit") == 256);
  CHECK(json::getString(*host, "NetworkMode") == "matrixos-net");
  CHECK(host->getObject("RestartPolicy")->getValue<std::string>("Name") == "unless-stopped");
  REQUIRE(host->getArray("Mounts")->size() == 1);
  CHECK(host->getArray("Mounts")->getObject(0)->getValue<std::string>("Source") == "/data/users/alice/matrixos");
  CHECK(host->getArray("Mounts")->getObject(0)->getValue<std::string>("Target") == "/home/matrixos/home");
  CHECK(host->getArray("CapDrop")->getElement<std::string>(0) == "ALL");
  CHECK(host->getArray("SecurityOpt")->getElement<std::string>(0) == "no-new-privileges");
  CHECK(host->getArray("ExtraHosts")->getElement<std::string>(0) == "proxy:host-gateway");
  REQUIRE(host->getObject("PortBindings")->size() == 1);
  const auto binding = host->getObject("PortBindings")->getArray("4000/tcp")->getObject(0);
  CHECK(json::getString(*binding, "HostIp") == "127.0.0.1");
  CHECK(json::getString(*binding, "HostPort") == "4001");
}

TEST_CASE("settings harden or loosen") {
  Settings settings;
  settings.capDrop.clear();
  settings.capAdd.clear();
  settings.noNewPrivileges = false;
  settings.readOnlyRoot = true;
  settings.pidsLimit = 0;
  settings.logMaxBytes = 0;
  const auto host = body(settings)->getObject("HostConfig");
  for (const char *gone : {"CapDrop", "CapAdd", "SecurityOpt", "PidsLimit", "LogConfig"})
    CHECK_FALSE(host->has(gone));
  CHECK(host->getValue<bool>("ReadonlyRootfs"));
}

TEST_CASE("what is refused") {
  for (const char *member : {
           R"("name": "../x")",
           R"("name": "")",
           R"("image": "")",
           R"("image": "a b")",
           R"("image": 5)",
           R"("labels": {"a=b": "c"})",
           R"("labels": {"a": 5})",
           R"("labels": [])",
           R"("labels": {"a": "\u0001"})",
           R"("env": {"A=B": "c"})",
           R"("env": {"": "c"})",
           R"("env": {"A": "\u0000"})",
           R"("env": {"A": null})",
           R"("command": "sh")",
           R"("command": [1])",
           R"("memoryBytes": -1)",
           R"("memoryBytes": 1.5)",
           R"("memoryBytes": "256")",
           R"("cpus": -1)",
           R"("cpus": "x")",
           R"("cpus": 99999)",
           R"("pidsLimit": -2)",
           R"("restart": "forever")",
           R"("networks": [{"name": "host"}])",
           R"("networks": [{"name": "none"}])",
           R"("networks": [{"name": "container:abc"}])",
           R"("networks": [{"name": "n", "driver": "host"}])",
           R"("networks": ["n"])",
           R"("hostAliases": ["a:b"])",
           R"("hostAliases": [7])",
           R"("volumes": [{"volume": "/data/users/a/b", "path": "/"}])",
           R"("volumes": [{"volume": "/x"}])",
           R"("volumes": [{"volume": "/data/users/a/b", "path": "/a:/etc"}])",
           R"("volumes": [{"volume": "/data/users/a/b", "path": "/a/../b"}])",
           R"("ports": [{"name": "p", "containerPort": 0}])",
           R"("ports": [{"name": "p", "containerPort": 65536}])",
           R"("ports": [{"name": "p", "containerPort": 80, "hostPort": -1}])",
           R"("ports": [{"name": "p", "containerPort": 80, "hostAddress": "evil"}])",
           R"("ports": [{"containerPort": 80}])",
       }) {
    CAPTURE(member);
    CHECK(refusal(member) == Status::InvalidArgument);
  }
}

TEST_CASE("equal specs have equal hashes, whatever their labels and order") {
  const Settings settings;
  const auto hash = [&](const std::string &text) { return specHash(readSpec(text), settings); };
  const std::string one = hash(R"({"name": "n", "image": "i", "env": {"A": "1", "B": "2"}, "labels": {"x": "1"}})");
  CHECK(one == hash(R"({"env": {"B": "2", "A": "1"}, "image": "i:latest", "name": "n", "labels": {"x": "2"}})"));
  CHECK(one != hash(R"({"name": "n", "image": "i", "env": {"A": "1", "B": "3"}})"));
}
