#include "config/InEffect.h"

#include "config/Text.h"

#include <algorithm>

namespace matrixos::config {

namespace {

ConfigPtr make(Config::Sections sections, const Config &like) {
  return std::make_shared<const Config>(std::move(sections), like.files(), like.warnings());
}

} // namespace

ConfigPtr takeOver(const Config &now, const Config &wanted, const std::set<std::string> &running) {
  Config::Sections sections;
  for (const auto &[name, section] : wanted.sections()) {
    const auto before = now.sections().find(name);
    const bool idle = section.isPlugin && running.count(name) == 0;
    Section &next = sections[name] = section;
    if (idle || before == now.sections().end()) continue;
    next.isEnabled = before->second.isEnabled;
    for (auto &[key, entry] : next.entries) {
      const auto old = before->second.entries.find(key);
      // An equal value may stand elsewhere by now.
      if (old == before->second.entries.end() || entry.spec.isLive() || entry.value.text == old->second.value.text)
        continue;
      entry = old->second;
    }
  }
  return make(std::move(sections), wanted);
}

ConfigPtr withSection(const Config &now, const std::string &section, const Config &from) {
  Config::Sections sections = now.sections();
  if (const auto found = from.sections().find(section); found != from.sections().end())
    sections.insert_or_assign(section, found->second);
  return make(std::move(sections), now);
}

ConfigPtr withEnabled(const Config &now, const std::vector<std::string> &ids) {
  Config::Sections sections = now.sections();
  ConfigValue &value = sections.at("plugins").entries.at("enabled").value;
  value.items = ids;
  value.text = joinList(ids);
  for (auto &[name, section] : sections)
    section.isEnabled = !section.isPlugin || std::find(ids.begin(), ids.end(), name) != ids.end();
  return make(std::move(sections), now);
}

} // namespace matrixos::config
