// Who may ask for what: every route that the daemon lists, with every credential, on both sockets and through the
// proxy.
#include "contract/Platform.h"
#include "contract/Row.h"

#include <matrixos/json.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

using namespace matrixos;
using namespace matrixos::test;

namespace {

using Values = DaemonProcess::Values;

constexpr const char *kHowTo = "send the platform secret as \"Authorization: Bearer <secret>\"; the daemon keeps it in "
                               "platform.secret_file, or in admin.secret of its data directory";

Platform &shared() {
  static Platform platform(Values{{"api.auth", "secret"}});
  return platform;
}

struct Route {
  std::string method, path, permission;
};

/// As the daemon lists them.
std::vector<Route> routesOf(const DaemonProcess &daemon) {
  const auto list = json::parse(daemon.api("GET", "/routes").body).extract<json::Array::Ptr>();
  std::vector<Route> routes;
  for (unsigned i = 0; i < list->size(); ++i) {
    const auto route = list->getObject(i);
    routes.push_back(
        {json::getString(*route, "method"), json::getString(*route, "path"), json::getString(*route, "permission")});
  }
  return routes;
}

/// A target of the route that nobody is behind, so that what is let through changes nothing.
std::string targetOf(const Route &route) {
  std::string target = route.path;
  for (const std::string parameter : {":handle", ":id"}) {
    const std::size_t at = target.find(parameter);
    if (at != std::string::npos) target.replace(at, parameter.size(), "nobody");
  }
  return target;
}

struct Credential {
  std::string name;
  Headers headers;
  bool right;
  bool absent = false;
};

std::vector<Credential> credentials(const Platform &platform) {
  const std::string secret = platform.secret();
  return {{"none", {}, false, true},
          {"the secret", {{"Authorization", "Bearer " + secret}}, true},
          {"the secret, scheme in lower case", {{"Authorization", "bearer " + secret}}, true},
          {"another secret", {{"Authorization", "Bearer " + std::string(secret.size(), 'x')}}, false},
          {"a part of it", {{"Authorization", "Bearer " + secret.substr(0, secret.size() - 1)}}, false},
          {"more than it", {{"Authorization", "Bearer " + secret + "x"}}, false},
          {"no token", {{"Authorization", "Bearer "}}, false},
          {"another scheme", {{"Authorization", "Basic " + secret}}, false},
          {"no scheme", {{"Authorization", secret}}, false},
          {"twice", {{"Authorization", "Bearer " + secret}, {"Authorization", "Bearer " + secret}}, false},
          {"as a cookie", {{"Cookie", "secret=" + secret}}, false, true},
          {"in a field of another name", {{"X-Authorization", "Bearer " + secret}}, false, true}};
}

/// 401 with how to do better, or through to the handler.
template <typename Where>
void checkRoutes(const Where &where, const Headers &more, const std::vector<Route> &routes,
                 const std::vector<Credential> &all) {
  for (const Route &route : routes) {
    for (const Credential &credential : all) {
      CAPTURE(credential.name);
      Headers headers = more;
      headers.insert(headers.end(), credential.headers.begin(), credential.headers.end());
      const Response response = request(where, route.method, targetOf(route), headers);
      if (credential.right || route.permission == "public") {
        CAPTURE(route.path);
        CAPTURE(response.body);
        CHECK(response.status != 0);
        CHECK(response.status != 401);
        CHECK(response.status != 403);
        continue;
      }
      const std::string error =
          std::string(credential.absent ? "authentication is required; " : "the secret is wrong; ");
      check({.name = "refused",
             .method = route.method,
             .target = targetOf(route),
             .status = 401,
             .error = error + kHowTo,
             .fields = {{"www-authenticate", "Bearer"}}},
            response);
    }
  }
}

} // namespace

TEST_CASE("the daemon lists exactly the routes that there are, and only /health and /ready are public") {
  const std::vector<Route> routes = routesOf(shared().daemon());
  std::string listed;
  for (const Route &route : routes)
    listed += route.permission + " " + route.method + " " + route.path + "\n";
  CHECK(listed == "operator:platform:read GET /config\n"
                  "signed-in|operator:instances:read GET /containers\n"
                  "owner|operator:instances:write DELETE /containers/:handle\n"
                  "owner:use|operator:instances:read GET /containers/:handle\n"
                  "owner:manage|operator:instances:write POST /containers/:handle/start\n"
                  "owner:manage|operator:instances:write POST /containers/:handle/stop\n"
                  "signed-in|operator:instances:read GET /containers/check-handle/:handle\n"
                  "operator:instances:write POST /containers/provision\n"
                  "operator:instances:write POST /handles/:handle/release\n"
                  "public GET /health\n"
                  "metrics GET /metrics\n"
                  "operator:platform:read GET /plugins\n"
                  "operator:platform:read GET /plugins/:id\n"
                  "operator:platform:write POST /plugins/:id/disable\n"
                  "operator:platform:write POST /plugins/:id/enable\n"
                  "operator:platform:write POST /plugins/:id/reload\n"
                  "public GET /ready\n"
                  "operator:platform:write POST /reload\n"
                  "operator:platform:read GET /routes\n"
                  "signed-in|instance|operator:instances:read GET /social/profiles/:handle\n"
                  "signed-in|instance|operator:instances:read GET /social/profiles/:handle/ai\n"
                  "signed-in|instance|operator:instances:write POST /social/send/:handle\n"
                  "signed-in|instance|operator:instances:read GET /social/users\n"
                  "operator:platform:read GET /status\n"
                  "operator:instances:read GET /trash\n"
                  "operator:instances:write DELETE /trash/:id\n"
                  "operator:instances:write POST /trash/:id/restore\n");
}

TEST_CASE("every route and every credential on the API's socket") {
  Platform &platform = shared();
  checkRoutes(platform.daemon().apiSocket(), {}, routesOf(platform.daemon()), credentials(platform));
}

TEST_CASE("every route and every credential through the proxy") {
  Platform &platform = shared();
  for (const char *host : {"localhost", "api.matrix-os.com"})
    checkRoutes(platform.daemon().proxyPort(), {{"Host", host}}, routesOf(platform.daemon()), credentials(platform));
}

TEST_CASE("what is behind no route is told to nobody in particular") {
  Platform &platform = shared();
  checkAll({{.name = "unknown path", .target = "/nope", .status = 404, .error = "there is nothing at this path"},
            {.name = "wrong method", .method = "PUT", .target = "/containers", .status = 405}},
           platform.daemon().apiSocket());
}

TEST_CASE("the admin socket needs no secret, whatever is sent") {
  Platform &platform = shared();
  const std::vector<Route> routes = routesOf(platform.daemon());
  for (const Route &route : routes) {
    for (const Credential &credential : credentials(platform)) {
      CAPTURE(route.path);
      CAPTURE(credential.name);
      const Response response =
          request(platform.daemon().adminSocket(), route.method, targetOf(route), credential.headers);
      CHECK(response.status != 0);
      CHECK(response.status != 401);
      CHECK(response.status != 403);
    }
  }
}

TEST_CASE("admin socket, secret and data directory are the daemon's own") {
  Platform &platform = shared();
  const DaemonProcess &daemon = platform.daemon();
  const auto modeOf = [](const std::filesystem::path &path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return static_cast<unsigned>(info.st_mode) & 0777U;
  };
  CHECK(modeOf(daemon.adminSocket()) == 0600U);
  CHECK(modeOf(daemon.dir() / "data/admin.secret") == 0600U);
  CHECK((modeOf(daemon.dir() / "data") & 07U) == 0U);
  CHECK(platform.secret().size() >= 32);
  CHECK(daemon.log().find(platform.secret()) == std::string::npos);
  CHECK(daemon.api("GET", "/config").body.find(platform.secret()) == std::string::npos);
}

TEST_CASE("with a secret_file, its secret counts and no other is made") {
  const TempDir dir;
  writeFile(dir / "secret", "the-one-that-the-operator-chose\n");
  std::filesystem::permissions(dir / "secret", std::filesystem::perms::owner_read);
  Platform platform(Values{{"api.auth", "secret"}, {"platform.secret_file", (dir / "secret").string()}});
  DaemonProcess &daemon = platform.daemon();
  CHECK_FALSE(std::filesystem::exists(daemon.dir() / "data/admin.secret"));
  checkAll({{.name = "right",
             .target = "/containers",
             .headers = {{"Authorization", "Bearer the-one-that-the-operator-chose"}},
             .answer = "[]"},
            {.name = "wrong", .target = "/containers", .headers = {{"Authorization", "Bearer the-one"}}, .status = 401},
            {.name = "none", .target = "/containers", .status = 401}},
           daemon.apiSocket());
}

TEST_CASE("limits hold for each client address, on the socket and through the proxy") {
  Platform platform(Values{{"api.auth", "secret"}, {"api.limit_address", "2/1d"}});
  DaemonProcess &daemon = platform.daemon();
  const auto row = [](const std::string &name, const std::string &address, bool refused) {
    Row made{.name = name,
             .target = "/nope",
             .headers = {{"Host", "localhost"}, {"X-Forwarded-For", address}},
             .status = 404};
    if (refused) {
      made.status = 429;
      made.fields = {{"ratelimit-policy", R"("address";q=2;w=86400)"}};
    }
    return made;
  };
  // Neither there nor here is a client believed about its address.
  const std::vector<Row> onePlace{row("first", "203.0.113.1", false), row("second", "203.0.113.2", false),
                                  row("third", "203.0.113.3", true)};
  checkAll(onePlace, daemon.apiSocket());
  checkAll(onePlace, daemon.proxyPort());
  Headers secret = platform.bearer();
  secret.emplace_back("Host", "localhost");
  checkAll({{.name = "the secret", .target = "/containers", .headers = secret, .answer = "[]"},
            {.name = "health", .target = "/health", .headers = {{"Host", "localhost"}}}},
           daemon.proxyPort());
  // A front is, where the operator says so.
  daemon.rewriteConfig({{"proxy.trusted_peers", "127.0.0.1"}});
  REQUIRE(daemon.ctl({"reload"}).status == 0);
  checkAll({row("one", "203.0.113.1", false), row("one again", "203.0.113.1", false),
            row("another", "203.0.113.2", false), row("one too often", "198.51.100.9, 203.0.113.1", true),
            row("an IPv6 client", "2001:db8::1", false), row("its neighbour", "2001:db8::2", false),
            row("the same /64", "2001:db8::3", true)},
           daemon.proxyPort());
}

TEST_CASE("auth=none opens the API to this machine") {
  Platform platform(Values{{"api.auth", "none"}});
  const std::vector<Row> rows{{.name = "no secret", .target = "/containers", .answer = "[]"},
                              {.name = "a wrong secret is no worse than none",
                               .target = "/containers",
                               .headers = {{"Authorization", "Bearer x"}},
                               .answer = "[]"}};
  checkAll(rows, platform.daemon().apiSocket());
  checkAll(rows, platform.daemon().proxyPort());
}

TEST_CASE("auth=none is refused at start while other machines can connect") {
  DaemonProcess daemon({{"api.auth", "none"}, {"proxy.listen", "0.0.0.0:" + std::to_string(freePort())}});
  daemon.launch();
  const auto status = daemon.process().wait(std::chrono::seconds{60});
  REQUIRE(status);
  CHECK(*status == 78);
  CHECK(daemon.log().find("[api] auth: \"none\" is refused, because [proxy] listen") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(daemon.dir() / "data"));
}
