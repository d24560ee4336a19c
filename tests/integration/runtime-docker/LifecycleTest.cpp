/// The runtime on a real engine: an instance's life through the table of the ABI.
#include "TestEngine.h"

#include <doctest/doctest.h>

#include <fstream>

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;

namespace {

TestEngine &engine() {
  return TestEngine::get(TEST_ENGINE);
}

bool isPodman() {
  return std::string(TEST_ENGINE) == "podman";
}

std::string create(const json::Object::Ptr &spec, const std::string &operation = "") {
  const Within call(operation);
  return at(engine().client().create(call.abi(), json::dump(*spec)), "ref").toString();
}

std::string state(const std::string &ref) {
  const Within call;
  return at(engine().client().inspect(call.abi(), ref), "state").toString();
}

json::Object::Ptr publish(const json::Object::Ptr &spec, std::uint16_t port) {
  spec->getArray("ports")->getObject(0)->set("hostPort", static_cast<int>(port));
  return spec;
}

} // namespace

TEST_CASE("an instance lives: create, start, serve, freeze, thaw, stop, start, remove") {
  const RuntimeClient client = engine().client();
  const Within call;
  const std::string name = engine().unique("life");
  const std::uint16_t port = freePort();
  const std::string ref = create(publish(engine().spec(name, engine().unique("net")), port));
  CHECK(state(name) == "created");
  CHECK(client.endpoints(call.abi(), ref) == "[]");

  client.start(call.abi(), ref);
  client.start(call.abi(), ref); // repeated: success
  const auto description = json::parseObject(client.inspect(call.abi(), name));
  CHECK(json::getString(*description, "state") == "running");
  CHECK(json::getString(*description, "ref") == ref);
  CHECK(json::getString(*description, "name") == name);
  CHECK(json::getInt(*description, "startedAt", 0) > 1'600'000'000'000);
  const auto endpoints = description->getArray("endpoints");
  REQUIRE(endpoints->size() == 2);
  CHECK(endpoints->getObject(0)->getValue<std::string>("scope") == "bridge");
  CHECK(endpoints->getObject(0)->getValue<std::string>("name") == "gateway");
  CHECK(endpoints->getObject(1)->getValue<std::string>("scope") == "host");
  CHECK(endpoints->getObject(1)->getValue<int>("port") == port);
  for (unsigned i = 0; i < 2; ++i) {
    const auto endpoint = endpoints->getObject(i);
    CHECK(eventually([&] {
      return httpGet(endpoint->getValue<std::string>("address"),
                     static_cast<std::uint16_t>(endpoint->getValue<int>("port"))) == "tenant";
    }));
  }

  client.pause(call.abi(), ref);
  client.pause(call.abi(), ref);
  CHECK(state(ref) == "paused");
  client.unpause(call.abi(), ref);
  client.unpause(call.abi(), ref);
  CHECK(state(ref) == "running");
  client.pause(call.abi(), ref);
  client.start(call.abi(), ref); // of a frozen one: thaws
  CHECK(state(ref) == "running");
  client.pause(call.abi(), ref);
  client.stop(call.abi(), ref, std::chrono::seconds{5}); // of a frozen one
  client.stop(call.abi(), ref, std::chrono::seconds{5});
  CHECK(state(ref) == "exited");
  CHECK(client.endpoints(call.abi(), ref) == "[]");

  client.start(call.abi(), ref);
  const auto again = json::parseObject(client.inspect(call.abi(), name))->getArray("endpoints");
  REQUIRE(again->size() == 2);
  CHECK(again->getObject(0)->getValue<std::string>("epoch") != endpoints->getObject(0)->getValue<std::string>("epoch"));

  client.remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
  client.remove(call.abi(), ref, MOS_REMOVE_FORCE);
  client.stop(call.abi(), name, std::chrono::seconds{1});
  CHECK(failure([&] { client.inspect(call.abi(), name); }).status() == Status::NotFound);
  CHECK(failure([&] { client.start(call.abi(), name); }).status() == Status::NotFound);
  CHECK_FALSE(engine().api().inspectNetwork(Call(call.abi()), engine().unique("net")));
}

TEST_CASE("what the spec says is what the engine has") {
  const Within call("op-fields");
  const std::string name = engine().unique("fields");
  const std::string data = engine().directory() / "users/alice/matrixos";
  json::Object::Ptr ensure = new json::Object;
  ensure->set("name", "alice");
  ensure->set("hostPath", data);
  CHECK(at(engine().client().volumeEnsure(call.abi(), json::dump(*ensure)), "created").convert<bool>());
  CHECK_FALSE(at(engine().client().volumeEnsure(call.abi(), json::dump(*ensure)), "created").convert<bool>());
  std::ofstream(data + "/hello") << "from the volume\n";

  const std::uint16_t port = freePort();
  auto spec = publish(engine().spec(name, engine().unique("net-fields")), port);
  json::Object::Ptr volume = new json::Object;
  volume->set("volume", data);
  volume->set("path", "/home/matrixos/home");
  json::Array::Ptr volumes = new json::Array;
  volumes->add(volume);
  spec->set("volumes", volumes);
  const std::string ref = create(spec, "op-fields");

  EngineHttp http(engine().endpoint());
  EngineRequest request;
  request.method = "GET";
  request.target = "/v1.41/containers/" + ref + "/json";
  const auto raw = json::parseObject(http.send(Call(call.abi()), request).body);
  const auto host = raw->getObject("HostConfig");
  CHECK(host->getValue<Poco::Int64>("Memory") == 268435456);
  CHECK(host->getValue<Poco::Int64>("MemorySwap") == 268435456);
  CHECK(host->getValue<Poco::Int64>("NanoCpus") == 500000000);
  CHECK(host->getValue<Poco::Int64>("PidsLimit") == 256);
  CHECK(host->getObject("RestartPolicy")->getValue<std::string>("Name") == "unless-stopped");
  const auto mount = raw->getArray("Mounts")->getObject(0);
  CHECK(mount->getValue<std::string>("Source") == data);
  CHECK(mount->getValue<std::string>("Destination") == "/home/matrixos/home");
  CHECK_FALSE(host->getValue<bool>("Privileged"));
  CHECK(host->getArray("SecurityOpt")->getElement<std::string>(0) == "no-new-privileges");
  const auto binding = host->getObject("PortBindings")->getArray("4000/tcp")->getObject(0);
  CHECK(binding->getValue<std::string>("HostIp") == "127.0.0.1");
  CHECK(binding->getValue<std::string>("HostPort") == std::to_string(port));
  const auto labels = raw->getObject("Config")->getObject("Labels");
  CHECK(labels->getValue<std::string>("matrixos.operation-id") == "op-fields");
  CHECK(labels->getValue<std::string>("matrixos.test") == "yes");
  if (!isPodman()) {
    CHECK(host->getValue<std::string>("NetworkMode") == engine().unique("net-fields"));
    CHECK(host->getArray("CapDrop")->getElement<std::string>(0) == "ALL");
    CHECK(host->getArray("ExtraHosts")->getElement<std::string>(0) == "proxy:host-gateway");
  }
  const Within gone;
  engine().client().remove(gone.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("the volume's content and the proxy's name are seen inside") {
  const Within call;
  const std::string name = engine().unique("inside");
  auto spec = engine().spec(name, engine().unique("net-inside"));
  json::Array::Ptr command = new json::Array;
  for (const char *word : {"/tenant", "cat", "/etc/hosts"})
    command->add(std::string(word));
  spec->set("command", command);
  const std::string ref = create(spec);
  engine().client().start(call.abi(), ref);
  std::string text;
  CHECK(eventually([&] {
    text.clear();
    engine().client().logs(call.abi(), ref, "{}", [&](std::string_view line) {
      text += at(std::string(line), "line").toString() + "\n";
      return true;
    });
    return text.find("proxy") != std::string::npos;
  }));
  CHECK(text.find("host-gateway") == std::string::npos);
  // The very address that the capabilities name.
  const std::string gateway = at(engine().client().capabilities(call.abi()), "hostGateway").toString();
  CHECK((text.find(gateway + "\tproxy") != std::string::npos || text.find(gateway + " proxy") != std::string::npos));
  engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("a name that is taken is adopted for an equal operation or specification, else refused") {
  const Within call;
  const std::string name = engine().unique("name");
  auto spec = engine().spec(name, engine().unique("net-name"));
  const std::string ref = create(spec, "op-1");
  CHECK(create(spec, "op-1") == ref);
  CHECK(create(spec, "op-2") == ref); // the same specification
  spec->getObject("env")->set("PORT", "5000");
  CHECK(create(spec, "op-1") == ref); // the same operation
  const Error taken = failure([&] { create(spec, "op-3"); });
  CHECK(taken.status() == Status::AlreadyExists);
  CHECK(taken.reason() == MOS_REASON_NAME_IN_USE);
  engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("an image that is not there is said so, and nothing stays behind") {
  const Within call;
  const std::string network = engine().unique("net-image");
  auto spec = engine().spec(engine().unique("image-less"), network);
  spec->set("image", "localhost/" + engine().unique("nosuch") + ":1");
  const Error missing = failure([&] { create(spec); });
  CAPTURE(missing.what());
  CHECK(missing.status() == Status::NotFound);
  CHECK(missing.reason() == MOS_REASON_IMAGE_NOT_FOUND);
  CHECK_FALSE(engine().api().inspectNetwork(Call(call.abi()), network));
  CHECK_FALSE(engine().api().inspectContainer(Call(call.abi()), engine().unique("image-less")));
  const Error pulled = failure([&] {
    engine().client().pull(call.abi(), "{\"image\":\"" + engine().unique("nosuch") + "\",\"policy\":\"never\"}",
                           [](std::string_view) { return true; });
  });
  CHECK(pulled.reason() == MOS_REASON_IMAGE_NOT_FOUND);
}

TEST_CASE("an occupied host port is PORT_IN_USE, and free again it starts") {
  const Within call;
  const std::uint16_t port = freePort();
  const std::string network = engine().unique("net-port");
  const std::string first = create(publish(engine().spec(engine().unique("port-1"), network), port));
  const std::string second = create(publish(engine().spec(engine().unique("port-2"), network), port));
  engine().client().start(call.abi(), first);
  const Error occupied = failure([&] { engine().client().start(call.abi(), second); });
  CHECK(occupied.status() == Status::Aborted);
  CHECK(occupied.reason() == MOS_REASON_PORT_IN_USE);
  engine().client().remove(call.abi(), first, MOS_REMOVE_FORCE);
  engine().client().start(call.abi(), second);
  CHECK(state(second) == "running");
  engine().client().remove(call.abi(), second, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("a program that ends at once fails the start with its exit code and last words") {
  const Within call;
  auto spec = engine().spec(engine().unique("exits"), engine().unique("net-exits"));
  json::Array::Ptr command = new json::Array;
  for (const char *word : {"/tenant", "exit", "7"})
    command->add(std::string(word));
  spec->set("command", command);
  spec->set("restart", "no");
  const std::string ref = create(spec);
  // It may still be running when start() looks, so the exit itself is waited for.
  mos_error error{};
  const mos_status status = guarded(&error, [&] { engine().client().start(call.abi(), ref); });
  if (status != MOS_OK) {
    CHECK(std::string(error.reason) == "EXITED_AT_START");
    CHECK(std::string(error.message).find("exit code 7") != std::string::npos);
    CHECK(std::string(error.message).find("the tenant gives up") != std::string::npos);
  }
  CHECK(eventually([&] { return state(ref) == "exited"; }));
  CHECK(at(engine().client().inspect(call.abi(), ref), "exitCode").convert<int>() == 7);
  engine().client().remove(call.abi(), ref, MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("removing what runs needs force") {
  const Within call;
  const std::string ref = create(engine().spec(engine().unique("force"), engine().unique("net-force")));
  engine().client().start(call.abi(), ref);
  mos_error error{};
  CHECK(guarded(&error, [&] { engine().client().remove(call.abi(), ref, 0); }) != MOS_OK);
  CHECK(state(ref) == "running");
  engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("a list by labels holds exactly what carries them") {
  const Within call;
  const std::string network = engine().unique("net-list");
  std::vector<std::string> refs;
  for (const char *name : {"list-1", "list-2", "list-3"}) {
    auto spec = engine().spec(engine().unique(name), network);
    spec->getObject("labels")->set("matrixos.group", name == std::string("list-3") ? "other" : "one");
    refs.push_back(create(spec));
  }
  std::vector<std::string> found;
  const std::string labels =
      R"({"matrixos.group": "one", "matrixos.install-id": ")" + engine().settings().installId + "\"}";
  engine().client().list(call.abi(), labels, [&](std::string_view item) {
    found.push_back(at(std::string(item), "ref").toString());
    return true;
  });
  std::sort(found.begin(), found.end());
  std::vector<std::string> expected{refs[0], refs[1]};
  std::sort(expected.begin(), expected.end());
  CHECK(found == expected);
  for (const std::string &ref : refs)
    engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE);
  found.clear();
  engine().client().list(call.abi(), labels, [&](std::string_view item) {
    found.emplace_back(item);
    return true;
  });
  CHECK(found.empty());
  engine().client().remove(call.abi(), refs[0], MOS_REMOVE_UNUSED_NETWORKS);
}

TEST_CASE("the engine says who it is") {
  const Within call;
  const std::string text = engine().client().capabilities(call.abi());
  CHECK(at(text, "engine").toString() == TEST_ENGINE);
  CHECK(at(text, "publishesPorts").convert<bool>());
  CHECK(at(text, "isolation").toString() == "container");
}
