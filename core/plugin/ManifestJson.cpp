#include "plugin/ManifestJson.h"

namespace matrixos::plugin {

namespace {

constexpr struct {
  const char *name;
  std::uint32_t flag;
} kFlags[] = {
    {"live", MOS_KEY_LIVE}, {"required", MOS_KEY_REQUIRED}, {"secret", MOS_KEY_SECRET}, {"public", MOS_KEY_PUBLIC}};

json::Object::Ptr toJson(const Manifest::ConfigKey &key) {
  json::Object::Ptr json = json::object(
      {{"key", key.key}, {"type", key.type}, {"default", key.defaultValue}, {"range", key.range}, {"help", key.help}});
  for (const auto &[name, flag] : kFlags)
    json->set(name, (key.flags & flag) != 0);
  return json;
}

void forEach(const json::Object &object, const char *name, auto &&read) {
  const json::Array::Ptr list = object.getArray(name);
  for (unsigned i = 0; list && i < list->size(); ++i) {
    const json::Object::Ptr item = list->getObject(i);
    if (!item) throw Error(Status::InvalidArgument, std::string("\"") + name + "\" has to hold objects", "BAD_JSON");
    read(*item);
  }
}

std::uint32_t number(const json::Object &object, const char *name) {
  return object.optValue<std::uint32_t>(name, 0);
}

std::string text(const json::Object &object, const char *name) {
  return object.optValue<std::string>(name, {});
}

} // namespace

json::Object::Ptr toJson(const Manifest &manifest) {
  json::Array::Ptr provides = new json::Array, needs = new json::Array, keys = new json::Array;
  for (const Manifest::Provide &provide : manifest.provides)
    provides->add(
        json::object({{"service", provide.service}, {"instance", provide.instance}, {"minor", provide.minor}}));
  for (const Manifest::Need &need : manifest.needs)
    needs->add(json::object({{"service", need.service}, {"minMinor", need.minMinor}, {"optional", need.optional}}));
  for (const Manifest::ConfigKey &key : manifest.configKeys)
    keys->add(toJson(key));
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
                       {"configKeys", keys}});
}

Manifest manifestFromJson(const json::Object &json) {
  Manifest manifest;
  try {
    for (const auto &[name, field] : {std::pair{"id", &manifest.id},
                                      {"name", &manifest.name},
                                      {"version", &manifest.version},
                                      {"vendor", &manifest.vendor},
                                      {"license", &manifest.license},
                                      {"description", &manifest.description}})
      *field = text(json, name);
    manifest.abiMajor = number(json, "abiMajor");
    manifest.minHostMinor = number(json, "minHostMinor");
    forEach(json, "provides", [&](const json::Object &item) {
      manifest.provides.push_back({text(item, "service"), text(item, "instance"), number(item, "minor")});
    });
    forEach(json, "needs", [&](const json::Object &item) {
      manifest.needs.push_back(
          {text(item, "service"), number(item, "minMinor"), item.optValue<bool>("optional", false)});
    });
    forEach(json, "configKeys", [&](const json::Object &item) {
      Manifest::ConfigKey key{text(item, "key"),   text(item, "type"), text(item, "default"),
                              text(item, "range"), text(item, "help"), 0};
      for (const auto &[name, flag] : kFlags) {
        if (item.optValue<bool>(name, false)) key.flags |= flag;
      }
      manifest.configKeys.push_back(std::move(key));
    });
  } catch (const Poco::Exception &e) {
    throw Error(Status::InvalidArgument, "this is no plugin's description: " + e.displayText(), "BAD_JSON");
  }
  return manifest;
}

} // namespace matrixos::plugin
