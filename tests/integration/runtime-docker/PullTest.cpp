/// Pulling from a real registry on loopback, with login, through the real engine.
#include "TestEngine.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <random>

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;

namespace {

TestEngine &engine() {
  return TestEngine::get(TEST_ENGINE);
}

/// Debian's docker-registry with one user, holding one image whose second layer is some MB of noise.
class Registry {
public:
  Registry() : directory_(engine().directory() / "registry"), port_(freePort()) {
    std::filesystem::create_directories(directory_ / "data");
    const std::string htpasswd = directory_ / "htpasswd";
    if (!run({"htpasswd", "-Bbc", htpasswd, "alice", "s3cret"})) skip("htpasswd (apache2-utils) is not installed");
    std::ofstream(directory_ / "config.yml")
        << "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: "
        << (directory_ / "data").string() << "}}\nhttp: {addr: '127.0.0.1:" << port_
        << "'}\nauth: {htpasswd: {realm: test, path: " << htpasswd << "}}\n";
    process_ = std::make_unique<Process>(
        std::vector<std::string>{"docker-registry", "serve", directory_ / "config.yml"}, directory_ / "registry.log");
    if (!eventually([&] { return connects("127.0.0.1", port_); })) skip("docker-registry does not start");
    push();
  }
  Registry(const Registry &) = delete;
  Registry &operator=(const Registry &) = delete;
  ~Registry() {
    process_->signal(SIGTERM);
    process_->wait(std::chrono::minutes{1});
    for (const std::string &name : {image(), image("big")})
      run({"docker", "rmi", "-f", name});
  }

  std::string image(const std::string &name = "demo") const {
    return "127.0.0.1:" + std::to_string(port_) + "/" + engine().unique(name) + ":1";
  }
  /// Removes the local copy.
  void forget(const std::string &name) const { run({"docker", "rmi", "-f", name}); }
  const std::filesystem::path &directory() const { return directory_; }
  std::uint16_t port() const { return port_; }

private:
  void push() {
    const std::filesystem::path root = directory_ / "root";
    std::filesystem::create_directories(root);
    {
      std::ofstream noise(root / "noise");
      std::mt19937 random(42);
      for (int i = 0; i < 3'000'000; ++i) {
        const auto word = random();
        noise.write(reinterpret_cast<const char *>(&word), sizeof word);
      }
    }
    const std::string tar = directory_ / "big.tar";
    const std::string config = "--config=" + (directory_ / "cli").string();
    const std::string server = "127.0.0.1:" + std::to_string(port_);
    const bool pushed = run({"tar", "-C", root, "-cf", tar, "."}) && run({"docker", "import", tar, image("big")}) &&
                        run({"docker", "tag", engine().image(), image()}) &&
                        run({"docker", config, "login", "-u", "alice", "-p", "s3cret", server}) &&
                        run({"docker", config, "push", "-q", image()}) &&
                        run({"docker", config, "push", "-q", image("big")});
    if (!pushed) skip("the test images cannot be pushed to the registry on loopback");
    forget(image());
    forget(image("big"));
  }

  std::filesystem::path directory_;
  std::uint16_t port_;
  std::unique_ptr<Process> process_;
};

Registry &registry() {
  // Made after the engine, so it goes before it.
  engine();
  static Registry instance;
  return instance;
}

std::string request(const std::string &image, const std::string &rest = "") {
  return "{\"image\": \"" + image + "\"" + rest + "}";
}

constexpr const char *kLogin = R"(, "auth": {"username": "alice", "password": "s3cret"})";

bool takeAll(std::string_view) {
  return true;
}

} // namespace

TEST_CASE("a pull with a login brings the image, and then there is nothing to pull") {
  const Within call;
  const std::string image = registry().image();
  const std::string answer = engine().client().pull(call.abi(), request(image, kLogin), takeAll);
  const std::string digest = at(answer, "digest").toString();
  CHECK(digest.size() == 71);
  CHECK(at(answer, "repoDigest").toString().find("@sha256:") != std::string::npos);
  int items = 0;
  const std::string again = engine().client().pull(call.abi(), request(image), [&](std::string_view) {
    ++items;
    return true;
  });
  CHECK(at(again, "digest").toString() == digest);
  CHECK(items == 0);
  // By its digest it is the same image.
  const std::string byDigest = at(answer, "repoDigest").toString();
  CHECK(at(engine().client().pull(call.abi(), request(byDigest), takeAll), "digest").toString() == digest);
  // An instance of it knows the digest.
  auto spec = engine().spec(engine().unique("pulled"), engine().unique("net-pulled"));
  spec->set("image", image);
  const std::string ref = at(engine().client().create(call.abi(), json::dump(*spec)), "ref").toString();
  CHECK(at(engine().client().inspect(call.abi(), ref), "imageDigest").toString() == digest);
  engine().client().remove(call.abi(), ref, MOS_REMOVE_FORCE | MOS_REMOVE_UNUSED_NETWORKS);
  registry().forget(image);
}

TEST_CASE("without a login, or with a wrong one, the image is denied") {
  const Within call;
  for (const char *login : {"", R"(, "auth": {"username": "alice", "password": "wrong"})"}) {
    CAPTURE(login);
    const Error denied =
        failure([&] { engine().client().pull(call.abi(), request(registry().image(), login), takeAll); });
    CAPTURE(denied.what());
    CHECK(denied.status() == Status::PermissionDenied);
    CHECK(denied.reason() == MOS_REASON_IMAGE_DENIED);
    CHECK(std::string(denied.what()).find("wrong") == std::string::npos);
  }
}

TEST_CASE("the login may stand in auth_file") {
  const Within call;
  Settings settings = engine().settings();
  settings.authFile = registry().directory() / "auth.json";
  std::ofstream(settings.authFile) << "{\"auths\": {\"127.0.0.1:" << registry().port()
                                   << "\": {\"auth\": \"YWxpY2U6czNjcmV0\"}}}";
  REQUIRE(::chmod(settings.authFile.c_str(), 0600) == 0);
  EngineHttp http(engine().endpoint());
  DockerRuntime runtime(http, settings);
  const std::string answer = runtime.pull(Call(call.abi()), request(registry().image()), takeAll);
  CHECK(at(answer, "digest").toString().size() == 71);
  registry().forget(registry().image());
}

TEST_CASE("a tag that the registry does not have is not found") {
  const Within call;
  std::string image = registry().image();
  image.back() = '9';
  const Error missing = failure([&] { engine().client().pull(call.abi(), request(image, kLogin), takeAll); });
  CAPTURE(missing.what());
  CHECK(missing.status() == Status::NotFound);
  CHECK(missing.reason() == MOS_REASON_IMAGE_NOT_FOUND);
}

TEST_CASE("progress grows to the image's size") {
  const Within call;
  const std::string image = registry().image("big");
  std::vector<std::string> phases;
  Poco::Int64 last = 0;
  Poco::Int64 total = 0;
  engine().client().pull(call.abi(), request(image, kLogin), [&](std::string_view item) {
    const auto object = json::parseObject(item);
    phases.push_back(json::getString(*object, "phase"));
    CHECK(json::getInt(*object, "current", -1) >= last);
    last = json::getInt(*object, "current", -1);
    total = json::getInt(*object, "total", -1);
    return true;
  });
  CHECK(phases.back() == "done");
  CHECK(std::find(phases.begin(), phases.end(), "downloading") != phases.end());
  CHECK(total > 10'000'000);
  CHECK(last == total);
  registry().forget(image);
}

TEST_CASE("a receiver that says stop ends the pull, and the image is not there") {
  const Within call;
  const std::string image = registry().image("big");
  const Error stopped = failure(
      [&] { engine().client().pull(call.abi(), request(image, kLogin), [](std::string_view) { return false; }); });
  CHECK(stopped.status() == Status::Cancelled);
}

TEST_CASE("a registry that is not there can be tried later") {
  const Within call;
  const std::string image = "127.0.0.1:" + std::to_string(freePort()) + "/nothing:1";
  const Error away = failure([&] { engine().client().pull(call.abi(), request(image), takeAll); });
  CHECK(away.status() == Status::Unavailable);
  CHECK(away.retryAfterMs() > 0);
}
