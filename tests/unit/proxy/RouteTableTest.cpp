#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <proxy/ErrorPage.h>
#include <proxy/HeaderPolicy.h>
#include <proxy/HostTable.h>
#include <proxy/RouteTable.h>
#include <proxy/TrustedPeers.h>

#include <atomic>
#include <thread>

using namespace matrixos::proxy;
using matrixos::InstanceRecord;

namespace {

InstanceRecord record(const std::string &handle, std::uint64_t rev, const std::string &status = "running",
                      const std::string &epoch = "e1", std::uint16_t port = 3000, const std::string &id = "id") {
  InstanceRecord made;
  made.id = id;
  made.handle = handle;
  made.status = matrixos::instanceStatusOf(status);
  made.rev = rev;
  made.endpoints = {{"shell", "127.0.0.1", port, "host", epoch}, {"gateway", "127.0.0.1", 4000, "host", epoch}};
  return made;
}

} // namespace

TEST_CASE("older records lose, deleted ones go") {
  RouteTable table;
  RouteCache cache(table);
  CHECK(cache.find("alice") == nullptr);
  table.apply(record("alice", 5));
  REQUIRE(cache.find("alice"));
  CHECK(cache.find("alice")->running());
  table.apply(record("alice", 4, "stopped"));
  CHECK(cache.find("alice")->running());
  table.apply(record("alice", 6, "stopped"));
  CHECK_FALSE(cache.find("alice")->running());
  CHECK(cache.find("alice")->shell == nullptr);
  table.apply(record("alice", 7, "deleted", "e1", 3000, "another"));
  CHECK(cache.find("alice"));
  table.apply(record("alice", 8, "deleted"));
  CHECK(cache.find("alice") == nullptr);
  CHECK(table.size() == 0);
}

TEST_CASE("what a wake says of an instance is news of one that is known, and nothing else") {
  RouteTable table;
  RouteCache cache(table);
  table.refresh(record("alice", 1));
  CHECK(cache.find("alice") == nullptr);
  table.apply(record("alice", 2, "stopped"));
  table.refresh(record("alice", 3));
  CHECK(cache.find("alice")->running());
  table.refresh(record("alice", 4, "stopped", "e1", 3000, "another"));
  CHECK(cache.find("alice")->running());
  table.apply(record("alice", 5, "deleted"));
  table.refresh(record("alice", 4));
  CHECK(cache.find("alice") == nullptr);
}

TEST_CASE("pool keys stay while the endpoint is the same, and are never used again") {
  RouteTable table;
  RouteCache cache(table);
  table.apply(record("alice", 1));
  const auto first = cache.find("alice")->shell;
  table.apply(record("alice", 2));
  CHECK(cache.find("alice")->shell == first);
  std::vector<std::uint64_t> keys{first->candidates[0].key};
  for (const InstanceRecord &changed :
       {record("alice", 3, "running", "e2"), record("alice", 4, "running", "e2", 3001),
        record("alice", 5, "running", "e2", 3001, "id2"), record("bobby", 6, "running", "e2", 3001)}) {
    table.apply(changed);
    const std::uint64_t key = cache.find(changed.handle)->shell->candidates[0].key;
    for (const std::uint64_t before : keys)
      CHECK(key != before);
    keys.push_back(key);
  }
  table.apply(record("bobby", 7, "stopped"));
  table.apply(record("bobby", 8, "running", "e2", 3001));
  CHECK(cache.find("bobby")->shell->candidates[0].key != keys.back());
}

TEST_CASE("readers and writers at once") {
  RouteTable table;
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  std::atomic<std::uint64_t> seen{0};
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      RouteCache cache(table);
      std::uint64_t last = 0;
      while (!stop) {
        if (const auto route = cache.find("alice")) {
          if (route->rev < last) std::abort();
          last = route->rev;
          seen = last;
        }
      }
    });
  }
  for (std::uint64_t rev = 1; rev <= 5000; ++rev) {
    table.apply(record("alice", rev, rev % 2 == 0 ? "running" : "stopped"));
    table.apply(record("user" + std::to_string(rev % 700), rev));
  }
  while (seen < 5000)
    std::this_thread::yield();
  stop = true;
  for (std::thread &reader : readers)
    reader.join();
  CHECK(table.size() == 701);
}

TEST_CASE("a record that a wake has brought is known when the watch brings it, too") {
  RouteTable table;
  table.apply(record("alice", 2, "stopped"));
  CHECK_FALSE(table.hasFromWake("alice", 2));
  table.refresh(record("alice", 3));
  CHECK(table.hasFromWake("alice", 3));
  CHECK_FALSE(table.hasFromWake("alice", 4));
  CHECK_FALSE(table.hasFromWake("bobby", 3));
  table.apply(record("alice", 4));
  CHECK_FALSE(table.hasFromWake("alice", 4));
}

TEST_CASE("networks of trusted peers") {
  const TrustedPeers peers({"10.1.0.0/15", "192.168.7.3", "2001:db8::/33", "::1"});
  const auto has = [&](const char *ip) { return peers.contains(matrixos::Address::fromIp(ip, 1)); };
  CHECK(has("10.1.255.255"));
  CHECK(has("10.0.0.1"));
  CHECK_FALSE(has("10.2.0.1"));
  CHECK(has("192.168.7.3"));
  CHECK_FALSE(has("192.168.7.4"));
  CHECK(has("2001:db8:7fff::1"));
  CHECK_FALSE(has("2001:db8:8000::1"));
  CHECK(has("::1"));
  CHECK_FALSE(has("127.0.0.1"));
  CHECK(has("::ffff:10.1.2.3"));
  for (const char *bad : {"", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8x", "::/129", "10.0.0/8"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(TrustedPeers({bad}), matrixos::Error);
  }
}

TEST_CASE("cookies and pages") {
  CHECK(withoutPlatformCookies("__Host-matrixos=1") == "");
  CHECK(withoutPlatformCookies("a=1;b=2 ; __Host-matrixosx=3;;c") == "a=1; b=2; c");
  CHECK(tenantCookie("a=1; Domain", "h") == "a=1");
  CHECK(tenantCookie("a=1;domain=H:80; Path=/", "h:80") == "a=1; Path=/");
  CHECK(tenantCookie("a=1; Domain=localhost; Domain=; Domain=.", "") == "a=1");
  CHECK(tenantCookie(" __HOST-matrixos-s=1", "h") == "");
  const auto page = errorResponse(true, {404, "<script>&\"'", {}, 3000}, "id-1");
  CHECK(page.body.find("<script>") == std::string::npos);
  CHECK(page.body.find("id-1") != std::string::npos);
  CHECK(page.body.find("&lt;script&gt;&amp;&quot;&#39;") != std::string::npos);
  CHECK(errorResponse(false, {404, "a\"b\n", {}, 0}, {}).body.find("a\\\"b\\n") != std::string::npos);
}
