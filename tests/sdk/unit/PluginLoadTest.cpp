#include <matrixos/abi/host.h>
#include <matrixos/abi/plugin.h>
#include <matrixos/call.hpp>

#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstring>
#include <map>
#include <string>
#include <vector>

using namespace matrixos;

namespace {

/// As much of a host as the minimal plugins ask for.
class TinyHost {
public:
  TinyHost() {
    host_ = {sizeof host_, MOS_HOST_MINOR, this,
             [](void *self, const char *id) -> const void * { return static_cast<TinyHost *>(self)->find(id); }};
    log_.struct_size = sizeof log_;
    log_.self = this;
    log_.write = [](void *self, std::uint32_t, mos_str message, const mos_pair *, std::uint32_t) {
      static_cast<TinyHost *>(self)->logged.emplace_back(fromAbi(message));
    };
    log_.enabled = [](void *, std::uint32_t) { return 1; };
    config_.struct_size = sizeof config_;
    config_.self = this;
    config_.get_string = [](void *self, mos_str key, mos_buf *out, mos_error *error) {
      return guarded(error, [&] {
        const auto &values = static_cast<TinyHost *>(self)->config;
        const auto found = values.find(std::string(fromAbi(key)));
        if (found == values.end()) throw Error(Status::NotFound, "no such key");
        giveBuffer(out, found->second);
      });
    };
    metrics_.struct_size = sizeof metrics_;
    metrics_.self = this;
    metrics_.series = [](void *, std::uint32_t, mos_str, mos_str, const mos_pair *, std::uint32_t, const double *,
                         std::uint32_t, std::uint64_t *out, mos_error *) -> mos_status {
      *out = 1;
      return MOS_OK;
    };
    metrics_.add = [](void *self, std::uint64_t, double value) { static_cast<TinyHost *>(self)->counted += value; };
    http_.struct_size = sizeof http_;
    http_.self = this;
    http_.add_routes = [](void *self, const mos_http_route *routes, std::uint32_t count, mos_error *) -> mos_status {
      auto &known = static_cast<TinyHost *>(self)->routes_;
      known.insert(known.end(), routes, routes + count);
      return MOS_OK;
    };
    http_.respond = [](void *self, std::uint64_t, std::uint32_t, mos_str, const mos_pair *, std::uint32_t, mos_str body,
                       mos_error *) -> mos_status {
      static_cast<TinyHost *>(self)->answered = std::string(fromAbi(body));
      return MOS_OK;
    };
  }
  TinyHost(const TinyHost &) = delete;
  TinyHost &operator=(const TinyHost &) = delete;

  const mos_host_v1 *abi() const { return &host_; }
  std::string request(std::size_t route) {
    routes_.at(route).handle(routes_.at(route).ctx, 1);
    return answered;
  }

  std::vector<std::string> logged;
  std::map<std::string, std::string> config{{"greeting", "hello"}};
  double counted = 0;
  std::string answered;
  std::string missing; ///< an interface this host does not have

private:
  const void *find(const std::string &id) const {
    if (id == missing) return nullptr;
    if (id == MOS_HOST_LOG_1) return &log_;
    if (id == MOS_HOST_CONFIG_1) return &config_;
    if (id == MOS_HOST_METRICS_1) return &metrics_;
    if (id == MOS_HOST_HTTP_1) return &http_;
    return nullptr;
  }

  mos_host_v1 host_{};
  mos_host_log_v1 log_{};
  mos_host_config_v1 config_{};
  mos_host_metrics_v1 metrics_{};
  mos_host_http_v1 http_{};
  std::vector<mos_http_route> routes_;
};

const mos_descriptor_v1 *load(const char *file) {
  // Never closed: the host does not either, thread-local destructors and callbacks may outlive a plugin.
  void *library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  REQUIRE_MESSAGE(library != nullptr, ::dlerror());
  const auto entry = reinterpret_cast<mos_plugin_entry_fn>(::dlsym(library, MOS_ENTRY_NAME));
  const bool found = entry != nullptr;
  REQUIRE(found);
  return entry();
}

mos_plugin_v1 create(const mos_descriptor_v1 &descriptor, const TinyHost &host) {
  mos_plugin_v1 plugin{};
  plugin.struct_size = sizeof plugin;
  mos_error error{};
  REQUIRE_MESSAGE(descriptor.create(host.abi(), &plugin, &error) == MOS_OK, error.message);
  return plugin;
}

} // namespace

TEST_CASE("plugins in C and C++ live their life in a host that knows only the contract") {
  const char *file = nullptr;
  std::string id, answer;
  SUBCASE("C") {
    file = TEST_PLUGIN_C;
    id = "minimal-c";
    answer = R"({"from":"c"})";
  }
  SUBCASE("C++") {
    file = TEST_PLUGIN_CPP;
    id = "minimal-cpp";
    answer = R"({"from":"c++","greeting":"hello"})";
  }
  const mos_descriptor_v1 *descriptor = load(file);
  CHECK(descriptor->struct_size == sizeof *descriptor);
  CHECK(descriptor->magic == MOS_MAGIC);
  CHECK(descriptor->abi_major == MOS_ABI_MAJOR);
  CHECK(descriptor->id == id);
  for (int life = 0; life < 3; ++life) {
    TinyHost host;
    const mos_plugin_v1 plugin = create(*descriptor, host);
    mos_error error{};
    REQUIRE(plugin.start(plugin.self, &error) == MOS_OK);
    CHECK(host.logged == std::vector<std::string>{id + " starts"});
    CHECK(host.request(0) == answer);
    CHECK(plugin.stop(plugin.self, &error) == MOS_OK);
    plugin.destroy(plugin.self);
    CHECK(host.logged.back() == id + " stops");
  }
}

TEST_CASE("a host that lacks an interface is told which, and nothing leaks") {
  TinyHost host;
  mos_plugin_v1 plugin{};
  mos_error error{};
  host.missing = MOS_HOST_HTTP_1;
  CHECK(load(TEST_PLUGIN_C)->create(host.abi(), &plugin, &error) == MOS_FAILED_PRECONDITION);
  CHECK(load(TEST_PLUGIN_CPP)->create(host.abi(), &plugin, &error) == MOS_FAILED_PRECONDITION);
  CHECK(std::strstr(error.message, MOS_HOST_HTTP_1) != nullptr);
}

TEST_CASE("a plugin takes new settings, and what it throws stays on its side") {
  TinyHost host;
  const mos_plugin_v1 plugin = create(*load(TEST_PLUGIN_CPP), host);
  mos_error error{};
  REQUIRE(plugin.start(plugin.self, &error) == MOS_OK);
  host.config["greeting"] = "good day";
  CHECK(plugin.reconfigure(plugin.self, &error) == MOS_OK);
  CHECK(host.request(0) == R"({"from":"c++","greeting":"good day"})");
  CHECK(host.counted == 1);
  host.config["greeting"] = "fail";
  CHECK(plugin.reconfigure(plugin.self, &error) == MOS_INVALID_ARGUMENT);
  CHECK(std::string(error.reason) == "RUDE");
  host.config.clear();
  CHECK(plugin.reconfigure(plugin.self, &error) == MOS_NOT_FOUND);
  CHECK(plugin.stop(plugin.self, nullptr) == MOS_OK);
  plugin.destroy(plugin.self);
}
