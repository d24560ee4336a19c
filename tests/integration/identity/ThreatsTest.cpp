// Threats by their number in tests/security.md, each in as many spellings as it has.
#include "Browser.h"
#include "Platform.h"

#include <matrixos/text/hex.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <sstream>

using namespace matrixos::test;

namespace {

IdentityPlatform &unlimited() {
  static IdentityPlatform platform(IdentityPlatform::unlimited());
  if (!platform.daemon.running()) platform.daemon.start();
  return platform;
}

std::uint16_t port() {
  return unlimited().daemon.proxyPort();
}

Browser signedIn(const std::string &name, const std::string &label) {
  unlimited();
  Browser browser(port());
  browser.signInAs(name, browser.url(label, label == "console" ? "/auth/login?return=/auth" : "/"));
  return browser;
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// All fields of a request that CGI would put into the variable of that name, "x_matrix_user", as "name: value" each.
std::vector<std::string> folded(const std::string &request, const std::string &variable) {
  std::vector<std::string> out;
  for (std::size_t at = request.find("\r\n") + 2; at < request.find("\r\n\r\n");) {
    const std::size_t end = request.find("\r\n", at);
    std::string line = request.substr(at, end - at);
    std::string name = lowered(line.substr(0, line.find(':')));
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    if (name == variable) out.push_back(std::move(line));
    at = end + 2;
  }
  return out;
}

} // namespace

// ------------------------------------------------------------------------------------------------ names of users: 39

TEST_CASE("row 39: names that a client gives itself reach no instance, however they are spelt") {
  Browser ada = signedIn("ada", "alice");
  const std::string separators =
      "-_.!#$%&'*+^`|~"; // all that a name may have beside letters and digits (RFC 9110 §5.6.2)
  std::vector<std::string> names;
  for (const std::string last : {"user", "email", "role"}) {
    for (const char first : separators)
      for (const char second : separators)
        for (const bool upper : {false, true}) {
          std::string name = std::string("x") + first + "matrix" + second + last;
          if (upper)
            std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
          names.push_back(name);
        }
  }
  for (std::size_t at = 0; at < names.size(); at += 30) {
    Headers forged;
    for (std::size_t i = at; i < std::min(at + 30, names.size()); ++i)
      forged.insert(forged.end(), {{names[i], "root"}, {names[i], "toor"}});
    Browser stranger(port());
    CHECK(stranger.fetch("GET", "alice", "/about", "", forged).status == 200);
    CHECK_MESSAGE(unlimited().lastRequest().find("root") == std::string::npos, unlimited().lastRequest());
    CHECK(unlimited().lastRequest().find("toor") == std::string::npos);
    CHECK(folded(unlimited().lastRequest(), "x_matrix_user").empty());
    CHECK(ada.fetch("GET", "alice", "/", "alice", forged).status == 200);
    CHECK(unlimited().lastRequest().find("root") == std::string::npos);
    CHECK(folded(unlimited().lastRequest(), "x_matrix_user") == std::vector<std::string>{"X-Matrix-User: ada"});
    CHECK(folded(unlimited().lastRequest(), "x_matrix_role") == std::vector<std::string>{"X-Matrix-Role: owner"});
  }
  // Nor are those of the platform taken away by what a client nominates, or put behind a body.
  for (const char *nominated :
       {"X-Matrix-User", "x-matrix-role, X-Matrix-User", "close, X-Matrix-Role", "X_Matrix_User"}) {
    CHECK(ada.fetch("GET", "alice", "/", "alice", {{"Connection", nominated}}).status == 200);
    CHECK(folded(unlimited().lastRequest(), "x_matrix_user") == std::vector<std::string>{"X-Matrix-User: ada"});
    CHECK(folded(unlimited().lastRequest(), "x_matrix_role") == std::vector<std::string>{"X-Matrix-Role: owner"});
  }
  MESSAGE("row 39: " << 4 * names.size() + 4 << " variants");
}

// ------------------------------------------------------------------------------------------------------ paths: 41, 42

namespace {

/// What frameworks make of a path: decoded `times` times, backslashes and parameters read or not, dot segments and
/// empty ones gone.
std::string readAs(std::string path, int times, bool windows, bool servlet, bool merges) {
  for (; times > 0; --times) {
    std::string decoded;
    for (std::size_t i = 0; i < path.size(); ++i) {
      const int high = path[i] == '%' && i + 2 < path.size() ? matrixos::hexValue(path[i + 1]) : -1;
      const int low = high < 0 ? -1 : matrixos::hexValue(path[i + 2]);
      decoded += low < 0 ? path[i] : static_cast<char>(high * 16 + low);
      if (low >= 0) i += 2;
    }
    path = std::move(decoded);
  }
  path = path.substr(0, path.find('\0'));
  if (windows) std::replace(path.begin(), path.end(), '\\', '/');
  std::vector<std::string> segments;
  for (std::size_t at = 1; at <= path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    std::string segment = path.substr(at, end - at);
    if (servlet) segment = segment.substr(0, segment.find(';'));
    if (segment == "..") {
      if (!segments.empty()) segments.pop_back();
    } else if (segment != "." && !(segment.empty() && merges)) {
      segments.push_back(std::move(segment));
    }
    at = end + 1;
  }
  std::string out;
  for (const std::string &segment : segments)
    out += "/" + segment;
  return out.empty() ? "/" : out;
}

/// Whether every way to read it leads to what public_paths says.
bool isPublicToAll(const std::string &target) {
  const std::string path = target.substr(0, target.find('?'));
  for (int bits = 0; bits < 24; ++bits) {
    const std::string read = readAs(path, bits / 8, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0);
    if (read != "/about" && read.rfind("/blog", 0) != 0) return false;
    if (read.rfind("/blog", 0) == 0 && read.size() > 5 && read[5] != '/') return false;
  }
  return true;
}

/// Spellings of a path: something put before, into or behind each of its segments, and its letters and slashes encoded.
std::set<std::string> spellings(const std::string &path) {
  std::set<std::string> out{path};
  std::istringstream pieces(
      R"(/ // /. /./ /.. /../ /%2e /%2e%2e/ /.%2e/ %2f %2F %5c \ /..;/ ; ;x=1 ;/ %3b %00 %20 . .. %252f %252e
                            /%252e%252e/ %c0%af %c0%ae%c0%ae/ ? ?/about ?x=/blog/a /? %3f %23 %25 %0a %0d%0a %09 /about/../
                            /blog/../ /blog/%2e%2e/ /blog/..%2f /blog/..%5c /blog\..\ /blog/..;/ /./blog/.././)");
  const std::vector<std::string> all{std::istream_iterator<std::string>(pieces), {}};
  for (std::size_t at = 0; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    for (const std::string &piece : all) {
      const std::string spelt = path.substr(0, at) + piece + path.substr(at);
      if (spelt.front() == '/') out.insert(spelt);
      if (at != 0) continue;
      for (const char *end : {"/", "/..", "%2f..", "?x", "?/about", ";x"})
        if (piece.front() == '/') out.insert(spelt + end);
    }
  }
  for (std::size_t at = 1; at < path.size(); ++at) {
    char code[4];
    for (const char *form : {"%%%02x", "%%%02X"}) {
      std::snprintf(code, sizeof code, form, static_cast<unsigned>(static_cast<unsigned char>(path[at])));
      out.insert(path.substr(0, at) + code + path.substr(at + 1));
    }
    if (std::isalpha(static_cast<unsigned char>(path[at])) != 0)
      out.insert(path.substr(0, at) + static_cast<char>(std::toupper(path[at])) + path.substr(at + 1));
  }
  return out;
}

/// The target of the request that the instance got, when it got one after that many.
std::string heardSince(std::size_t before) {
  if (unlimited().instance.count() == before) return {};
  REQUIRE(unlimited().instance.count() == before + 1);
  const std::string request = unlimited().lastRequest(), line = request.substr(0, request.find("\r\n"));
  return line.substr(4, line.rfind(' ') - 4);
}

} // namespace

TEST_CASE(
    "rows 41 and 42: what is decided on and what the instance gets are the same bytes, and public to every reader") {
  Browser ada = signedIn("ada", "alice"), stranger(port());
  std::size_t passed = 0;
  std::map<bool, std::size_t> variants; // by whether the path itself is public
  for (const std::string path : {"/about", "/blog/a/b", "/blog/", "/private", "/x/secret"}) {
    const auto all = spellings(path);
    variants[isPublicToAll(path)] += all.size();
    for (const std::string &target : all) {
      CAPTURE(target);
      std::size_t before = unlimited().instance.count();
      const int open = stranger.fetch("GET", "alice", target, "").status;
      const std::string heard = heardSince(before);
      CHECK(heard == (open == 200 ? target : ""));
      CHECK((open == 200 || open == 401 || open == 400));
      if (open == 200) {
        ++passed;
        CHECK(isPublicToAll(target));
        CHECK(folded(unlimited().lastRequest(), "x_matrix_role") == std::vector<std::string>{"X-Matrix-Role: public"});
      }
      // Whoever may see everything gets what he asks for, byte by byte, or nothing.
      before = unlimited().instance.count();
      const int own = ada.fetch("GET", "alice", target, "alice").status;
      CHECK((own == 200) == (open != 400));
      CHECK(heardSince(before) == (own == 200 ? target : ""));
    }
  }
  CHECK(passed > 20); // public paths are public all the same
  CHECK(variants[true] >= 300);
  CHECK(variants[false] >= 300);
  MESSAGE("rows 41 and 42: " << variants[true] + variants[false] << " variants, " << passed << " of them public");
}

// --------------------------------------------------------------------------------------------------- where to: 43

TEST_CASE("row 43: nobody is led to a host that only looks like one of ours") {
  Browser ada = signedIn("ada", "console");
  const std::string at = ":" + std::to_string(port());
  std::vector<std::string> hosts;
  for (const std::string host : {"alice.localhost", "console.localhost", "localhost"}) {
    for (const std::string end :
         {".evil.test", "@evil.test", ":x@evil.test", "%40evil.test", "%2eevil.test", "\\.evil.test", "\\@evil.test",
          "#@evil.test", "?@evil.test", "/@evil.test", ".", "%00.evil.test", "%09.evil.test", " .evil.test",
          ".evil.test:80", ";evil.test", ",evil.test", "-evil.test", "evil.test"}) {
      hosts.push_back(host + end);
      hosts.push_back(host + at + end);
    }
    for (const std::string front : {"evil.test/", "evil.test\\", "evil.test#", "evil.test?", "evil.test@", "evil.test;",
                                    "evil.a.", "x:y@", "evil.test%2f", "evil.test%5c", "[::1]", "0x7f.1/"})
      hosts.push_back(front + host + at);
    hosts.push_back(host + ":1");
    hosts.push_back(host + at + "0");
  }
  std::vector<std::string> urls;
  for (const std::string &host : hosts)
    for (const std::string scheme :
         {"http://", "https://", "//", "\\\\", "/\\", "http:\\\\", "http:/", "http:", "ftp://", "HTTP://"})
      urls.push_back(scheme + host + "/x");
  for (const char *odd : {"javascript:alert(1)", "data:text/html,x", "%2f%2fevil.test", "/%09/evil.test",
                          "/\t/evil.test", "/%5cevil.test", "/%2f/evil.test", "///evil.test", "/.//evil.test",
                          "vbscript:x", "about:blank", "", "/\n/evil.test"})
    urls.emplace_back(odd);
  const auto encoded = [](const std::string &text) {
    std::string out;
    for (const unsigned char c : text) {
      char code[4];
      std::snprintf(code, sizeof code, "%%%02X", c);
      out += code;
    }
    return out;
  };
  const auto isOurs = [&](const std::string &location) {
    if (location.empty()) return true;
    if (location.front() == '/') return location.size() < 2 || (location[1] != '/' && location[1] != '\\');
    return location.rfind(ada.url("console", "/"), 0) == 0 || location.rfind(ada.url("alice", "/"), 0) == 0;
  };
  std::size_t variants = 0;
  for (const std::string &url : urls) {
    // Signed in already: login sends on at once.
    const Response sent = ada.open(ada.url("console", "/auth/login?return=" + encoded(url)), 0);
    CHECK_MESSAGE(
        (sent.status == 400 || isOurs(sent.headers.count("location") != 0 ? sent.headers.at("location") : "")), url);
    ++variants;
  }
  const std::string nonce(43, 'x');
  for (const std::string &host : hosts) {
    const Response page = ada.open(ada.url("console", "/auth/authorize?nonce=" + nonce + "&host=" + encoded(host)), 0);
    CHECK_MESSAGE(page.status == 400, host);
    ++variants;
  }
  for (const std::string &url : urls) { // the way back on the instance's own host
    Browser fresh = ada;
    fresh.jar[fresh.host("alice")].clear();
    const std::string own = fresh.open(fresh.url("alice", "/"), 0).headers.at("location");
    const std::string sent = own.substr(0, own.find("&return=")) + "&return=" + encoded(url);
    const Response code = fresh.open(sent, 0);
    if (code.status == 400) continue;
    REQUIRE_MESSAGE(code.headers.at("location").rfind(fresh.url("alice", "/.matrixos/auth?code="), 0) == 0, url);
    CHECK_MESSAGE(isOurs(fresh.open(code.headers.at("location"), 0).headers.at("location")), url);
    ++variants;
  }
  MESSAGE("row 43: " << variants << " variants");
}

// ------------------------------------------------------------------------------------------- sessions, shares: 49, 50

TEST_CASE("row 49: a session ends everywhere, however it ends") {
  std::size_t variants = 0;
  const auto ends = [&](const char *how, auto &&end) {
    CAPTURE(how);
    Browser first = signedIn("sam", "alice"), second(port());
    unlimited().daemon.ctl({"shares", "add", "alice", "--user", "sam"});
    first.open(first.url("alice", "/"));
    REQUIRE(first.fetch("GET", "alice", "/", "alice").status == 200);
    second = first; // another tab, or a thief's copy of its cookies
    end(first);
    for (Browser *tab : {&first, &second}) {
      CHECK(tab->fetch("GET", "alice", "/", "alice").status == 401);
      CHECK(tab->fetch("GET", "console", "/auth/me", "console").status == 401);
      CHECK(tab->fetch("GET", "console", "/api/containers/alice/shares", "console").status == 401);
      int status = 0;
      webSocketEcho(port(), "alice.localhost", "/ws", "x", status);
      CHECK(status == 401);
      variants += 4;
    }
  };
  ends("signing out", [](Browser &b) { b.fetch("POST", "console", "/auth/logout", "console"); });
  ends("ending one's own session", [](Browser &b) {
    const auto me = parseObject(b.fetch("GET", "console", "/auth/me", "console").body);
    b.fetch("DELETE", "console", "/auth/sessions/" + me->getObject("session")->getValue<std::string>("id"), "console");
  });
  ends("an operator ends all of a user's", [](Browser &) { unlimited().daemon.ctl({"sessions", "end-all", "sam"}); });
  ends("another sign-in in the same browser", [](Browser &b) {
    Browser second(port());
    second.open(second.url("console", "/auth/login?return=/auth"));
    const std::string state = parameterOf(second.visited.back(), "state");
    second.setCookie("console", "matrixos", b.cookie("console", "matrixos"));
    CHECK(second.open(second.url("console", "/auth/callback?name=eve&state=" + state)).status == 200);
  });
  MESSAGE("row 49: " << variants << " variants");
}

TEST_CASE("row 50: whom an instance is shared with gives nothing on") {
  Browser ada = signedIn("ada", "console");
  const std::string shares = "/api/containers/alice/shares";
  const Headers script{{"X-Matrixos", "1"}};
  std::size_t variants = 0;
  for (const std::string role : {"use", "manage"}) {
    const std::string name = "guest-" + role;
    Browser guest = signedIn(name, "console");
    const Response made =
        ada.fetch("POST", "console", shares, "console", script, R"({"user":")" + name + R"(","role":")" + role + "\"}");
    REQUIRE(made.status == 201);
    const std::string id = member(made.body, "id");
    for (const std::string whom : {"\"user\":\"eve\"", "\"email\":\"eve@localhost\"", "\"user\":\"guest-use\"",
                                   "\"user\":\"guest-manage\"", "\"user\":\"ada\""})
      for (const std::string given :
           {"", ",\"role\":\"use\"", ",\"role\":\"manage\"", ",\"role\":\"owner\"", ",\"role\":\"operator\""}) {
        CHECK(guest.fetch("POST", "console", shares, "console", script, "{" + whom + given + "}").status == 403);
        ++variants;
      }
    CHECK(guest.fetch("GET", "console", shares, "console").status == 403);
    CHECK(guest.fetch("DELETE", "console", shares + "/" + id, "console", script).status == 403);
    CHECK(guest.fetch("POST", "console", "/api/containers/sleepy/shares", "console", script, R"({"user":"eve"})")
              .status == 403);
    CHECK(guest.fetch("POST", "console", "/api/tokens", "console", script, R"({"name":"x","scopes":["*"],"ttl":"1h"})")
              .status == 403);
    CHECK(guest.fetch("GET", "console", "/auth/me", "console")
              .body.find("{\"handle\":\"alice\",\"role\":\"" + role + "\"}") != std::string::npos);
    variants += 4;
    CHECK(ada.fetch("DELETE", "console", shares + "/" + id, "console", script).status == 200);
  }
  Browser eve = signedIn("eve", "console");
  CHECK(eve.open(eve.url("alice", "/")).status == 403);
  MESSAGE("row 50: " << variants << " variants");
}
