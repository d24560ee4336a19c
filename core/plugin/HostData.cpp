#include "common/HostTable.h"
#include "common/Wipe.h"
#include "config/CoreSchema.h"
#include "plugin/HostContext.h"

#include <matrixos/call.hpp>

#include <algorithm>
#include <string>
#include <string_view>

/// What a plugin reads: config, platform.
namespace matrixos::plugin {

namespace {

struct KeyName {
  std::string section, key;
};

/// "key" is in the plugin's own section; "platform.key" and others of shared sections may be read too, unless they are
/// secret.
KeyName locate(const HostContext &context, std::string_view name) {
  const std::size_t dot = name.find('.');
  if (dot == std::string_view::npos) return {context.manifest().id, std::string(name)};
  KeyName where{std::string(name.substr(0, dot)), std::string(name.substr(dot + 1))};
  const std::vector<std::string> &shared = config::sharedSections();
  if (where.section != context.manifest().id &&
      std::find(shared.begin(), shared.end(), where.section) == shared.end()) {
    throw Error(Status::PermissionDenied, "the plugin " + context.manifest().id + " may not read [" + where.section +
                                              "]; only its own section, "
                                              "platform, api and metrics");
  }
  return where;
}

template <typename Out, typename Get>
mos_status read(void *self, mos_str key, mos_error *error, Out *out, Get &&get) {
  return hosted(self, error, [&](HostContext &context) {
    const KeyName where = locate(context, fromAbi(key));
    *out = get(*context.core().config(), where);
  });
}

/// As giveBuffer(), and overwritten when it is released.
void giveSecret(mos_buf *out, const std::string &text) {
  giveBuffer(out, text);
  out->release = [](mos_buf *buf) {
    auto *owner = static_cast<std::string *>(buf->owner);
    common::wipe(*owner);
    delete owner;
    *buf = mos_buf{};
  };
}

} // namespace

mos_host_config_v1 hostConfigTable(HostContext *context) {
  auto table = common::hostTable<mos_host_config_v1>(context);
  table.get_string = [](void *self, mos_str key, mos_buf *out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      const KeyName where = locate(c, fromAbi(key));
      const config::ConfigPtr config = c.core().config();
      const std::string &value = config->getString(where.section, where.key);
      const bool secret = config->find(where.section, where.key)->spec.isSecret();
      secret ? giveSecret(out, value) : giveBuffer(out, value);
    });
  };
  table.get_int = [](void *self, mos_str key, std::int64_t *out, mos_error *error) {
    return read(self, key, error, out, [](const config::Config &config, const KeyName &where) {
      return config.getInt(where.section, where.key);
    });
  };
  table.get_number = [](void *self, mos_str key, double *out, mos_error *error) {
    return read(self, key, error, out, [](const config::Config &config, const KeyName &where) {
      return config.getNumber(where.section, where.key);
    });
  };
  table.get_list = [](void *self, mos_str key, mos_sink items, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) {
      const KeyName where = locate(c, fromAbi(key));
      const config::ConfigPtr config = c.core().config();
      for (const std::string &item : config->getList(where.section, where.key)) {
        if (items.item(items.ctx, toAbi(item)) == MOS_SINK_STOP) break;
      }
    });
  };
  return table;
}

mos_host_platform_v1 hostPlatformTable(HostContext *context) {
  auto table = common::hostTable<mos_host_platform_v1>(context);
  table.info = [](void *self, mos_buf *out, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { giveBuffer(out, c.core().platformInfo()); });
  };
  table.set_degraded = [](void *self, mos_str reason, mos_error *error) {
    return hosted(self, error, [&](HostContext &c) { c.setDegraded(std::string(fromAbi(reason))); });
  };
  return table;
}

} // namespace matrixos::plugin
