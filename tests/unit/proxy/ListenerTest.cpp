/// UNIX sockets beside TCP: who may connect, and whose file it is.
#include "Kit.h"

#include <matrixos/address.hpp>
#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <support/TempDir.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <list>

using namespace kit;
using matrixos::test::TempDir;

namespace {

Conn toPath(const std::string &path) {
  return Conn(matrixos::test::connectTo(std::filesystem::path(path)).release());
}

/// Permission bits, or -1 when there is no socket.
int modeOf(const std::string &path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISSOCK(info.st_mode)) return -1;
  return static_cast<int>(info.st_mode & 0777U);
}

/// As a process that was killed leaves it.
void leaveBehind(const std::string &path) {
  matrixos::test::listenAt(path);
}

} // namespace

TEST_CASE("a UNIX socket serves beside TCP, with its mode, and goes with the proxy") {
  TempDir dir;
  const std::string path = (dir / "proxy.sock").string();
  leaveBehind(path);
  Upstream shell(Upstream::echo);
  {
    ProxyFixture f([&](auto &o) { o.server.listen.push_back("unix:" + path); });
    f.instance("alice", "running", shell.port());
    CHECK(modeOf(path) == 0660);
    CHECK(toPath(path).get("/", "alice.localhost").status == 200);
    CHECK(f.connect().get("/", "alice.localhost").status == 200);
    f.reconfigure([](auto &o) { o.server.unixMode = 0600; });
    CHECK(modeOf(path) == 0600);
    f.reconfigure([](auto &o) { o.server.listen.pop_back(); });
    CHECK(modeOf(path) == -1);
    CHECK_THROWS(toPath(path));
    f.reconfigure([&](auto &o) { o.server.listen.push_back("unix:" + path); });
    CHECK(modeOf(path) == 0600);
    CHECK(toPath(path).get("/", "alice.localhost").status == 200);
  }
  CHECK(modeOf(path) == -1);
}

TEST_CASE("who comes through a UNIX socket is trusted when the word unix is") {
  TempDir dir;
  const std::string path = (dir / "proxy.sock").string();
  Upstream shell(Upstream::echo);
  ProxyFixture f([&](auto &o) { o.server.listen.push_back("unix:" + path); });
  f.instance("alice", "running", shell.port());
  const std::string says = "X-Forwarded-For: 192.0.2.7\r\n";
  const auto seen = [&](Conn conn) { return fieldOf(conn.get("/", "alice.localhost", says).body, "X-Forwarded-For"); };
  CHECK(seen(toPath(path)).empty());
  f.reconfigure([](auto &o) { o.trustedPeers = {"unix"}; });
  CHECK(seen(toPath(path)) == "192.0.2.7");
  CHECK(seen(f.connect()) == "127.0.0.1");
}

TEST_CASE("a socket that another process listens on is neither taken nor removed") {
  TempDir dir;
  const std::string path = (dir / "proxy.sock").string();
  {
    Upstream other(Upstream::echo, path);
    CHECK_THROWS_AS(ProxyFixture([&](auto &o) { o.server.listen = {"unix:" + path}; }), matrixos::Error);
    CHECK(toPath(path).get("/", "other").status == 200);
  }
  ::unlink(path.c_str());
  {
    ProxyFixture f([&](auto &o) { o.server.listen.push_back("unix:" + path); });
    // Somebody else puts a socket in our place.
    REQUIRE(::unlink(path.c_str()) == 0);
    leaveBehind(path);
  }
  CHECK(modeOf(path) != -1);
}

TEST_CASE("what is no socket is not removed") {
  TempDir dir;
  const std::string path = (dir / "file").string();
  matrixos::test::writeFile(path, "precious");
  CHECK_THROWS_AS(ProxyFixture([&](auto &o) { o.server.listen = {"unix:" + path}; }), matrixos::Error);
  CHECK(matrixos::test::readFile(path) == "precious");
}

TEST_CASE("a socket that somebody else keeps is shared, and who connects between two generations waits") {
  const matrixos::test::LoopbackPort kept;
  kept.listen(16);
  Upstream shell(Upstream::echo);
  const auto share = [&](matrixos::proxy::ProxyOptions &o) {
    o.server.listen = {"127.0.0.1:" + std::to_string(kept.port())};
    o.server.inherited = {0, kept.fd()};
  };
  std::list<Conn> between;
  for (int generation = 0; generation < 3; ++generation) {
    ProxyFixture f(share);
    f.instance("alice", "running", shell.port());
    for (Conn &conn : between)
      CHECK(conn.readResponse().status == 404);
    between.clear();
    CHECK(Conn::to(kept.port()).get("/", "alice.localhost").status == 200);
    f.proxy->stop(10s);
    for (int i = 0; i < 3; ++i) {
      between.push_back(Conn::to(kept.port()));
      between.back().send("GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n");
    }
  }
}
