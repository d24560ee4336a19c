#include "Fixture.h"
#include "RegistryAuth.h"

#include <matrixos/text/base64.hpp>

#include <sys/stat.h>

#include <fstream>

using namespace matrixos;
using namespace matrixos::docker;
using namespace matrixos::docker::test;
using namespace matrixos::test;

namespace {

const Call kCall(nullptr);
constexpr const char *kAlways = R"({"image": "img:1", "policy": "always"})";

std::string write(const TempDir &directory, const std::string &text, mode_t mode = 0600) {
  const std::string path = directory.path() / "auth.json";
  std::ofstream(path) << text;
  ::chmod(path.c_str(), mode);
  return path;
}

} // namespace

TEST_CASE("an image that is there is not pulled, unless always") {
  Fixture f;
  const auto answer = json::parseObject(f.runtime.pull(kCall, R"({"image": "img:1"})", kTakeAll));
  CHECK(json::getString(*answer, "digest") == "sha256:1");
  CHECK(f.engine.count("POST", "/images/create") == 0);
  f.runtime.pull(kCall, kAlways, kTakeAll);
  CHECK(f.engine.count("POST", "/images/create") == 1);
}

TEST_CASE("never means never") {
  Fixture f;
  const Error error = failure([&] { f.runtime.pull(kCall, R"({"image": "other:2", "policy": "never"})", kTakeAll); });
  CHECK(error.status() == Status::NotFound);
  CHECK(error.reason() == MOS_REASON_IMAGE_NOT_FOUND);
  CHECK(contains(error.what(), "[orchestrator] image"));
  CHECK(f.engine.count("POST", "/images/create") == 0);
  CHECK(failure([&] { f.runtime.pull(kCall, R"({"image": "x", "policy": "maybe"})", kTakeAll); }).status() ==
        Status::InvalidArgument);
}

TEST_CASE("a tag is always named: without one the engine would pull them all") {
  Fixture f;
  f.engine.on("GET", "/images/ghcr.io%2Fa%2Fb%3Alatest/json", answer(200, R"({"Id": "sha256:1"})"));
  f.runtime.pull(kCall, R"({"image": "ghcr.io/a/b", "policy": "always"})", kTakeAll);
  CHECK(contains(f.engine.requests().at(1).query, "fromImage=ghcr.io%2Fa%2Fb&tag=latest"));
}

TEST_CASE("progress is summed over the layers") {
  Fixture f;
  f.engine.on(
      "POST", "/images/create",
      chunked(200,
              {"{\"status\":\"Pulling from a\",\"id\":\"1\"}\r\n",
               "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":10,\"total\":100},\"id\":\"l1\"}\r\n{\"sta",
               "tus\":\"Downloading\",\"progressDetail\":{\"current\":20,\"total\":200},\"id\":\"l2\"}\r\n",
               "{\"status\":\"Download complete\",\"progressDetail\":{},\"id\":\"l1\"}\r\n",
               "{\"status\":\"Extracting\",\"progressDetail\":{\"current\":1,\"total\":9},\"id\":\"l1\"}\r\n"}));
  std::vector<std::string> phases;
  Poco::Int64 current = 0;
  Poco::Int64 total = 0;
  f.runtime.pull(kCall, kAlways, [&](std::string_view item) {
    const auto object = json::parseObject(item);
    phases.push_back(json::getString(*object, "phase"));
    current = json::getInt(*object, "current", -1);
    total = json::getInt(*object, "total", -1);
    return true;
  });
  CHECK(phases == std::vector<std::string>{"resolving", "downloading", "extracting", "done"});
  CHECK(current == 120);
  CHECK(total == 300);
}

TEST_CASE("an error inside a stream of 200 is an error") {
  const auto pull = [](const std::string &text) {
    Fixture f;
    f.engine.on("POST", "/images/create",
                chunked(200, {"{\"status\":\"Pulling\"}\r\n",
                              "{\"errorDetail\":{\"message\":\"" + text + "\"},\"error\":\"" + text + "\"}\r\n"}));
    return failure([&] { f.runtime.pull(kCall, kAlways, kTakeAll); });
  };
  const Error missing = pull("manifest for img:1 not found: manifest unknown: manifest unknown");
  CHECK(missing.reason() == MOS_REASON_IMAGE_NOT_FOUND);
  CHECK(missing.status() == Status::NotFound);
  const Error denied = pull("unauthorized: authentication required");
  CHECK(denied.reason() == MOS_REASON_IMAGE_DENIED);
  CHECK(denied.status() == Status::PermissionDenied);
  const Error broken = pull("unexpected EOF");
  CHECK(broken.status() == Status::Unavailable);
  CHECK(contains(broken.what(), "unexpected EOF"));
}

TEST_CASE("errors as statuses") {
  for (const auto &[status, text, reason] : std::initializer_list<std::tuple<int, const char *, const char *>>{
           {404, "pull access denied for img, repository does not exist", MOS_REASON_IMAGE_DENIED},
           {404, "no such image", MOS_REASON_IMAGE_NOT_FOUND},
           {500, "Get https://ghcr.io/v2/: unauthorized", MOS_REASON_IMAGE_DENIED},
           {500, "Get https://ghcr.io/v2/: dial tcp: no such host", "PULL_FAILED"}}) {
    Fixture f;
    f.engine.on("POST", "/images/create", answer(status, std::string("{\"message\": \"") + text + "\"}"));
    CHECK(failure([&] { f.runtime.pull(kCall, kAlways, kTakeAll); }).reason() == reason);
  }
}

TEST_CASE("a pull that ends in good order without an image is a failure") {
  Fixture f;
  f.engine.on("GET", "/images/img%3A1/json", answer(404, "{}"));
  CHECK(failure([&] { f.runtime.pull(kCall, kAlways, kTakeAll); }).reason() == MOS_REASON_ENGINE_REPLY);
}

TEST_CASE("a receiver that says stop cancels the pull") {
  Fixture f;
  f.engine.on(
      "POST", "/images/create",
      stalled(200, "{\"status\":\"Downloading\",\"id\":\"l\",\"progressDetail\":{\"current\":1,\"total\":2}}\n"));
  const Error error = failure([&] { f.runtime.pull(kCall, kAlways, [](std::string_view) { return false; }); });
  CHECK(error.status() == Status::Cancelled);
}

TEST_CASE("a line without end is given up") {
  Fixture f;
  f.engine.on("POST", "/images/create", flood(200, 3U << 20U));
  CHECK(failure([&] { f.runtime.pull(kCall, kAlways, kTakeAll); }).reason() == MOS_REASON_ENGINE_REPLY);
}

TEST_CASE("logins: from the request, else from the file, for the right registry alone") {
  Fixture f;
  f.settings.authFile = write(f.directory, R"({"auths": {"https://index.docker.io/v1/": {"auth": "aHViOnB3"},
    "ghcr.io": {"auth": "YWxpY2U6czNjcmV0"}, "127.0.0.1:5000": {"username": "bob", "password": "b"}}})");
  const auto header = [&](const std::string &request) -> std::string {
    guarded(nullptr, [&] { f.runtime.pull(kCall, request, kTakeAll); });
    for (const FakeRequest &seen : f.engine.requests()) {
      const std::size_t at = seen.head.find("X-Registry-Auth: ");
      if (at != std::string::npos)
        return base64Decode(seen.head.substr(at + 17, seen.head.find("\r\n", at) - at - 17), Base64::Url).value();
    }
    return "";
  };
  SUBCASE("given") {
    CHECK(header(R"({"image": "ghcr.io/a/b:1", "auth": {"username": "u", "password": "p?>"}})") ==
          R"({"password":"p?>","serveraddress":"ghcr.io","username":"u"})");
  }
  SUBCASE("packed") {
    CHECK(header(R"({"image": "ghcr.io/a/b:1"})") ==
          R"({"password":"s3cret","serveraddress":"ghcr.io","username":"alice"})");
  }
  SUBCASE("with a port") {
    CHECK(contains(header(R"({"image": "127.0.0.1:5000/b:1"})"), "bob"));
  }
  SUBCASE("Docker Hub") {
    CHECK(contains(header(R"({"image": "library/x:1"})"), "\"hub\""));
  }
  SUBCASE("none") {
    CHECK(header(R"({"image": "quay.io/b:1"})").empty());
  }
}

TEST_CASE("a login file that is open or broken is refused without showing it") {
  TempDir directory;
  const ImageName image = ImageName::parse("ghcr.io/a:1");
  const Error open = failure([&] { findLogin(write(directory, "{}", 0644), image); });
  CHECK(open.reason() == "BAD_AUTH_FILE");
  CHECK(contains(open.what(), "chmod 600"));
  for (const char *text :
       {"hunter2", R"({"auths": "hunter2"})", R"({"auths": {"ghcr.io": {"auth": "hunter2!"}}})",
        R"({"auths": {"ghcr.io": {"auth": "aHVudGVyMg=="}}})", R"({"auths": {"ghcr.io": {"password": 5}}})"}) {
    const Error error = failure([&] { findLogin(write(directory, text), image); });
    CHECK(error.reason() == "BAD_AUTH_FILE");
    CHECK_FALSE(contains(error.what(), "hunter2"));
  }
  CHECK(failure([&] { findLogin(directory.path() / "missing", image); }).reason() == "BAD_AUTH_FILE");
  CHECK_FALSE(findLogin("", image));
  CHECK_FALSE(findLogin(write(directory, "{}"), image));
}
