#include "Schemas.h"

#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>

namespace matrixos::test {

namespace {

using Json = nlohmann::json;
using Adapter = valijson::adapters::NlohmannJsonAdapter;

const Json &document(const std::string &name) {
  static std::map<std::string, std::unique_ptr<Json>> known;
  std::unique_ptr<Json> &slot = known[name];
  if (!slot) {
    std::ifstream in(std::filesystem::path(SCHEMA_DIR) / (name + ".json"));
    if (!in) throw std::runtime_error("there is no schema " + name);
    slot = std::make_unique<Json>(Json::parse(in));
  }
  return *slot;
}

/// "https://…/sdk/1/labels.json" or "labels.json" → "labels": schemas refer to their neighbours.
std::string nameOf(const std::string &uri) {
  return std::filesystem::path(uri).stem();
}

const valijson::Schema &compiled(const std::string &name) {
  static std::map<std::string, std::unique_ptr<valijson::Schema>> known;
  std::unique_ptr<valijson::Schema> &slot = known[name];
  if (!slot) {
    slot = std::make_unique<valijson::Schema>();
    valijson::SchemaParser parser(valijson::SchemaParser::kDraft7);
    parser.populateSchema(
        Adapter(document(name)), *slot, [](const std::string &uri) { return new Json(document(nameOf(uri))); },
        [](const Json *copy) { delete copy; });
  }
  return *slot;
}

const Json &resolved(const Json &schema) {
  return schema.contains("$ref") ? document(nameOf(schema["$ref"])) : schema;
}

/// Calls `visit` for the described values of `value`, deepest last, with where they are.
void walk(const Json &schema, const Json &value, const Json::json_pointer &at,
          const std::function<void(const Json &schema, const Json::json_pointer &at, bool required)> &visit,
          bool required = true) {
  const Json &here = resolved(schema);
  visit(here, at, required);
  if (value.is_object()) {
    for (const auto &[name, member] : value.items()) {
      const bool described = here.contains("properties") && here["properties"].contains(name);
      const bool all = here.contains("additionalProperties");
      if (!described && !all) continue;
      const Json needed = here.value("required", Json::array());
      walk(described ? here["properties"][name] : here["additionalProperties"], member, at / name, visit,
           std::find(needed.begin(), needed.end(), name) != needed.end());
    }
  } else if (value.is_array() && !value.empty()) {
    walk(here["items"], value[0], at / 0, visit);
  }
}

Json ofAnotherType(const std::string &type) {
  if (type == "string") return 7;
  if (type == "integer") return 1.5;
  if (type == "number") return "0.5";
  return "text";
}

} // namespace

std::vector<std::string> schemaNames() {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(SCHEMA_DIR)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string misfit(const std::string &schema, const std::string &json) {
  const Json value = Json::parse(json, nullptr, false);
  if (value.is_discarded()) return "no JSON";
  valijson::Validator validator(valijson::Validator::kStrongTypes);
  valijson::ValidationResults results;
  if (validator.validate(compiled(schema), Adapter(value), &results)) return "";
  std::string text;
  for (valijson::ValidationResults::Error error; results.popError(error);) {
    for (const std::string &part : error.context)
      text += part;
    text += ": " + error.description + "\n";
  }
  return text.empty() ? "refused" : text;
}

std::vector<std::string> examplesOf(const std::string &schema) {
  std::vector<std::string> list;
  const Json examples = document(schema).value("examples", Json::array());
  for (const Json &example : examples)
    list.push_back(example.dump());
  return list;
}

std::vector<Recorded> recordedPayloads(const std::string &release) {
  std::ifstream in(std::filesystem::path(FIXTURES) / release / "payloads.json");
  if (!in) throw std::runtime_error("there are no payloads of " + release);
  const Json bySchema = Json::parse(in);
  std::vector<Recorded> list;
  for (const auto &[schema, payloads] : bySchema.items()) {
    for (const Json &payload : payloads)
      list.push_back({schema, payload.dump()});
  }
  return list;
}

std::vector<Broken> brokenVariants(const std::string &schema, const std::string &example) {
  const Json whole = Json::parse(example);
  std::vector<Broken> list;
  walk(document(schema), whole, Json::json_pointer(),
       [&](const Json &here, const Json::json_pointer &at, bool required) {
         const auto add = [&](const std::string &what, const Json &value) {
           Json changed = whole;
           changed[at] = value;
           list.push_back({at.to_string() + " " + what, changed.dump()});
         };
         add("of another type", ofAnotherType(here.value("type", "")));
         if (here.contains("enum")) add("with an unknown word", "nonsense");
         if (here.contains("minimum")) add("below its range", here["minimum"].get<double>() - 1);
         if (here.contains("maximum")) add("above its range", here["maximum"].get<std::int64_t>() + 1);
         if (here.contains("minLength")) add("empty", "");
         if (here.contains("pattern")) add("against its pattern", " no ");
         if (required && !at.empty() && whole[at.parent_pointer()].is_object()) {
           Json changed = whole;
           changed[at.parent_pointer()].erase(at.back());
           list.push_back({at.to_string() + " missing", changed.dump()});
         }
       });
  return list;
}

std::vector<std::string> undescribed(const std::string &schema) {
  const auto namesUnit = [](const std::string &text) {
    const auto isThere = [&](const char *unit) { return text.find(unit) != std::string::npos; };
    return std::ranges::any_of(std::initializer_list<const char *>{"bytes", "seconds", "CPUs", "port", "Exit code",
                                                                   "exit code", "processes", "lines", "Number of",
                                                                   "number of", "number that"},
                               isThere);
  };
  std::vector<std::string> list;
  const std::function<void(const Json &, const std::string &)> visit = [&](const Json &here, const std::string &at) {
    if (!here.is_object()) return;
    const Json properties = here.value("properties", Json::object());
    for (const auto &[name, member] : properties.items()) {
      const std::string text = resolved(member).value("description", "");
      const std::string type = resolved(member).value("type", "");
      if (text.empty()) list.push_back(at + "/" + name + " has no description");
      if ((type == "integer" || type == "number") && !namesUnit(text)) {
        list.push_back(at + "/" + name + " names no unit: " + text);
      }
      visit(member, at + "/" + name);
    }
    if (here.contains("items")) visit(here["items"], at + "/0");
  };
  visit(document(schema), "");
  return list;
}

} // namespace matrixos::test
