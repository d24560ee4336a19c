#include "plugin/ManifestJson.h"

namespace matrixos::plugin {

namespace {

constexpr struct {
  const char *name;
  std::uint32_t flag;
} kFlags[] = {{"live", MOS_KEY_LIVE},     {"required", MOS_KEY_REQUIRED}, {"secret", MOS_KEY_SECRET},
              {"public", MOS_KEY_PUBLIC}, {"create", MOS_KEY_CREATE},     {"port", MOS_KEY_PORT}};

json::Object::Ptr toJson(const Manifest::ConfigKey &key) {
  json::Object::Ptr json = json::object(
      {{"key", key.key}, {"type", key.type}, {"default", key.defaultValue}, {"range", key.range}, {"help", key.help}});
  for (const auto &[name, flag] : kFlags)
    json->set(name, (key.flags & flag) != 0);
  return json;
}

json::Object::Ptr toJson(const Claim &claim) {
  json::Object::Ptr json = json::object({{"kind", claim.kind}, {"pattern", claim.pattern}, {"help", claim.help}});
  if (!claim.schema.empty()) json->set("schema", json::parseObject(claim.schema));
  return json;
}

} // namespace

json::Object::Ptr toJson(const Manifest &manifest) {
  json::Array::Ptr provides = new json::Array, needs = new json::Array, keys = new json::Array,
                   commands = new json::Array, claims = new json::Array;
  for (const Manifest::Provide &provide : manifest.provides)
    provides->add(
        json::object({{"service", provide.service}, {"instance", provide.instance}, {"minor", provide.minor}}));
  for (const Manifest::Need &need : manifest.needs)
    needs->add(json::object({{"service", need.service},
                             {"instance", need.instance},
                             {"minMinor", need.minMinor},
                             {"optional", need.optional}}));
  for (const Manifest::ConfigKey &key : manifest.configKeys)
    keys->add(toJson(key));
  for (const common::CommandDescription &command : manifest.commands)
    commands->add(command.toJson());
  for (const Claim &claim : manifest.claims)
    claims->add(toJson(claim));
  return json::object({{"id", manifest.id},
                       {"name", manifest.name},
                       {"version", manifest.version},
                       {"vendor", manifest.vendor},
                       {"license", manifest.license},
                       {"description", manifest.description},
                       {"abiMajor", manifest.abiMajor},
                       {"minHostMinor", manifest.minHostMinor},
                       {"provides", provides},
                       {"needs", needs},
                       {"configKeys", keys},
                       {"commands", commands},
                       {"claims", claims}});
}

} // namespace matrixos::plugin
