#include "isolation/PluginDescription.h"

#include "common/CommandDescription.h"
#include "common/ServiceDescription.h"
#include "isolation/HostAnswer.h"

#include <matrixos/json.hpp>
#include <matrixos/status.hpp>

#include <algorithm>
#include <cstring>

namespace matrixos::isolation {

namespace {

constexpr std::size_t kMostText = 1U << 20U;
constexpr std::size_t kMostOf = 4096; ///< of one text; who reads the descriptor has a lower bound
constexpr std::size_t kMostOfSchema = std::size_t{128} << 10U;
constexpr std::uint32_t kMostEntries = 256;

std::string text(const char *value, std::size_t most = kMostOf) {
  return value == nullptr ? std::string() : std::string(value, ::strnlen(value, most));
}

/// Entries that may be read: a count without a list, or one that is absurd, is told by its number alone.
std::uint32_t readable(const void *list, std::uint32_t count) {
  return list != nullptr && count <= kMostEntries ? count : 0;
}

std::uint32_t number(const json::Object &object, const char *key) {
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(json::getInt(object, key, 0), 0, UINT32_MAX));
}

std::vector<json::Object::Ptr> objects(const json::Object &object, const char *key) {
  std::vector<json::Object::Ptr> list;
  const json::Array::Ptr array = json::findArray(object, key);
  if (!array) return list;
  if (array->size() > kMostEntries) throw Error(Status::InvalidArgument, std::string(key) + " has too many entries");
  for (unsigned i = 0; i < array->size(); ++i) {
    json::Object::Ptr entry = array->getObject(i);
    if (!entry) throw Error(Status::InvalidArgument, std::string(key) + " holds something other than objects");
    list.push_back(std::move(entry));
  }
  return list;
}

json::Object::Ptr serviceJson(const common::ServiceDescription &service) {
  json::Array functions;
  for (const common::ServiceFunction &function : service.functions) {
    functions.add(json::object({{"name", function.name},
                                {"parameters", function.parameters},
                                {"flags", function.flags},
                                {"minor", function.minor}}));
  }
  json::Object::Ptr object = json::object({{"id", service.id}, {"minor", service.minor}});
  object->set("functions", functions);
  return object;
}

[[noreturn]] void refuse(const std::string &what, const char *reason) {
  throw Error(Status::FailedPrecondition, what, reason);
}

} // namespace

std::shared_ptr<const PluginDescription> PluginDescription::ask(const std::filesystem::path &program,
                                                                const std::filesystem::path &file,
                                                                const std::string &name,
                                                                std::chrono::milliseconds timeout, Trust trust) {
  std::vector<std::string> words{"--describe", file.string(), "--fd=3"};
  if (trust == Trust::Stranger) words.emplace_back("--nobody");
  const HostAnswer answer = HostAnswer::ask(program, words, -1, kMostText, timeout);
  if (answer.late) {
    refuse(name + " did not say what it is within " + std::to_string(timeout.count()) +
               " ms: its constructors or its entry function hang",
           "PLUGIN_LOAD");
  }
  if (answer.tooLong) refuse(name + " describes itself with more than 1 MB", "PLUGIN_DESCRIPTOR");
  const std::string &said = answer.text;
  if (said.empty()) refuse(name + " cannot be loaded: the process that looked at it " + answer.ending, "PLUGIN_LOAD");
  try {
    const json::Object::Ptr object = json::parseObject(said);
    if (auto error = json::findString(*object, "error")) {
      const std::string asked = file.string();
      for (std::size_t at = error->find(asked); at != std::string::npos; at = error->find(asked, at + name.size()))
        error->replace(at, asked.size(), name);
      refuse(*error, "PLUGIN_LOAD");
    }
    return fromJson(said);
  } catch (const Error &e) {
    if (e.reason() == "PLUGIN_LOAD") throw;
    refuse(name + " describes itself with nonsense: " + e.what(), "PLUGIN_DESCRIPTOR");
  }
}

std::string PluginDescription::toJson(const mos_descriptor_v1 *descriptor) {
  json::Object object;
  if (descriptor == nullptr) {
    object.set("none", true);
    return json::dump(object);
  }
  const mos_descriptor_v1 &d = *descriptor;
  object.set("magic", d.magic);
  object.set("structSize", d.struct_size);
  object.set("abiMajor", d.abi_major);
  object.set("minHostMinor", d.min_host_minor);
  if (d.magic != MOS_MAGIC || d.abi_major != MOS_ABI_MAJOR || d.struct_size < MOS_DESCRIPTOR_LEAST_SIZE)
    return json::dump(object);
  object.set("id", text(d.id));
  object.set("name", text(d.name));
  object.set("version", text(d.version));
  object.set("vendor", text(d.vendor));
  object.set("license", text(d.license));
  object.set("description", text(d.description));
  object.set("create", d.create != nullptr);
  json::Array provides, needs, keys;
  for (std::uint32_t i = 0; i < readable(d.provides, d.provides_count); ++i) {
    provides.add(json::object({{"service", text(d.provides[i].service)},
                               {"instance", text(d.provides[i].instance)},
                               {"minor", d.provides[i].minor}}));
  }
  for (std::uint32_t i = 0; i < readable(d.needs, d.needs_count); ++i) {
    needs.add(json::object(
        {{"service", text(d.needs[i].service)}, {"minMinor", d.needs[i].min_minor}, {"flags", d.needs[i].flags}}));
  }
  for (std::uint32_t i = 0; i < readable(d.config_keys, d.config_keys_count); ++i) {
    const mos_config_key &key = d.config_keys[i];
    keys.add(json::object({{"key", text(key.key)},
                           {"type", text(key.type)},
                           {"default", text(key.default_value)},
                           {"range", text(key.range)},
                           {"help", text(key.help)},
                           {"flags", key.flags}}));
  }
  json::Array services;
  for (const common::ServiceDescription &service : common::ServiceDescription::readAll(d))
    services.add(serviceJson(service));
  if (MOS_HAS(&d, mos_descriptor_v1, claims_count)) {
    json::Array claims;
    for (std::uint32_t i = 0; i < readable(d.claims, d.claims_count); ++i) {
      const mos_claim &claim = d.claims[i];
      claims.add(json::object({{"kind", text(claim.kind)},
                               {"pattern", text(claim.pattern)},
                               {"schema", text(claim.schema, kMostOfSchema)},
                               {"help", text(claim.help)}}));
    }
    object.set("claims", claims);
    object.set("claimsCount", d.claims_count);
  }
  object.set("check", MOS_HAS(&d, mos_descriptor_v1, check));
  object.set("services", services);
  json::Array commands;
  for (const common::CommandDescription &command : common::CommandDescription::readAll(d))
    commands.add(command.toJson());
  object.set("commands", commands);
  object.set("provides", provides);
  object.set("providesCount", d.provides_count);
  object.set("needs", needs);
  object.set("needsCount", d.needs_count);
  object.set("configKeys", keys);
  object.set("configKeysCount", d.config_keys_count);
  return json::dump(object);
}

std::shared_ptr<const PluginDescription> PluginDescription::fromJson(std::string_view json) {
  const json::Object::Ptr object = json::parseObject(json);
  auto made = std::make_shared<PluginDescription>();
  made->null_ = json::getBool(*object, "none", false);
  mos_descriptor_v1 &d = made->descriptor_;
  d.magic = number(*object, "magic");
  d.struct_size = number(*object, "structSize");
  d.abi_major = number(*object, "abiMajor");
  d.min_host_minor = number(*object, "minHostMinor");
  const auto word = [&](const json::Object &from, const char *key) {
    return made->keep(json::findString(from, key).value_or(""));
  };
  d.id = word(*object, "id");
  d.name = word(*object, "name");
  d.version = word(*object, "version");
  d.vendor = word(*object, "vendor");
  d.license = word(*object, "license");
  d.description = word(*object, "description");
  for (const auto &entry : objects(*object, "provides"))
    made->provides_.push_back({word(*entry, "service"), word(*entry, "instance"), number(*entry, "minor"), 0});
  for (const auto &entry : objects(*object, "needs"))
    made->needs_.push_back({word(*entry, "service"), number(*entry, "minMinor"), number(*entry, "flags")});
  for (const auto &entry : objects(*object, "configKeys")) {
    made->keys_.push_back({word(*entry, "key"), word(*entry, "type"), word(*entry, "default"), word(*entry, "range"),
                           word(*entry, "help"), number(*entry, "flags"), 0});
  }
  for (const auto &entry : objects(*object, "services")) {
    auto &functions = made->functions_.emplace_back();
    for (const auto &function : objects(*entry, "functions")) {
      functions.push_back({word(*function, "name"), word(*function, "parameters"), number(*function, "flags"),
                           number(*function, "minor"), nullptr, nullptr});
    }
    made->services_.push_back({sizeof(mos_service_v1), number(*entry, "minor"), word(*entry, "id"), functions.data(),
                               static_cast<std::uint32_t>(functions.size()), 0});
  }
  for (const mos_service_v1 &service : made->services_)
    made->serviceList_.push_back(&service);
  for (const auto &entry : objects(*object, "commands")) {
    const auto &command = made->commandTexts_.emplace_back(common::CommandDescription::fromJson(*entry));
    made->commands_.push_back(command.abi(made->options_.emplace_back()));
  }
  if (d.struct_size >= sizeof d) {
    d.services = made->serviceList_.data();
    d.services_count = static_cast<std::uint32_t>(made->serviceList_.size());
    d.commands = made->commands_.data();
    d.commands_count = static_cast<std::uint32_t>(made->commands_.size());
  }
  const auto list = [&](const auto &entries, auto &to, std::uint32_t &count, const char *key) {
    to = entries.empty() ? nullptr : entries.data();
    // A count without its entries stays what it is, and is refused like that of a plugin that was loaded here.
    count = entries.empty() ? number(*object, key) : static_cast<std::uint32_t>(entries.size());
  };
  list(made->provides_, d.provides, d.provides_count, "providesCount");
  list(made->needs_, d.needs, d.needs_count, "needsCount");
  list(made->keys_, d.config_keys, d.config_keys_count, "configKeysCount");
  for (const auto &entry : objects(*object, "claims"))
    made->claims_.push_back(
        {word(*entry, "kind"), word(*entry, "pattern"), word(*entry, "schema"), word(*entry, "help")});
  if (d.struct_size >= sizeof d) list(made->claims_, d.claims, d.claims_count, "claimsCount");
  if (d.struct_size >= sizeof d && json::getBool(*object, "check", false)) {
    d.check = [](const mos_host_config_v1 *, mos_problems, mos_error *error) -> mos_status {
      return fail(error, Status::Internal, "the plugin is not in this process");
    };
  }
  if (json::getBool(*object, "create", false)) {
    d.create = [](const mos_host_v1 *, mos_plugin_v1 *, mos_error *error) -> mos_status {
      return fail(error, Status::Internal, "the plugin is not in this process");
    };
  }
  return made;
}

} // namespace matrixos::isolation
