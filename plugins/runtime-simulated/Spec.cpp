#include "Spec.h"

#include <matrixos/json.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace matrixos::simulated {

namespace {

constexpr std::size_t kMaxItems = 256;
constexpr std::size_t kMaxText = 32U * 1024;
constexpr std::size_t kMaxName = 128;
constexpr std::array<std::string_view, 4> kRestarts{"no", "always", "unless-stopped", "on-failure"};

Error badSpec(const std::string &text) {
  return Error(Status::InvalidArgument, "instance spec: " + text, "BAD_SPEC");
}

bool isClean(std::string_view text) {
  return text.size() <= kMaxText && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

void checkSize(std::size_t size, const std::string &member) {
  if (size > kMaxItems) throw badSpec("\"" + member + "\" has more than 256 members");
}

Labels readLabels(const json::Object &object) {
  checkSize(object.size(), "labels");
  Labels labels;
  labels.reserve(object.size());
  for (const auto &[key, value] : object) {
    if (!value.isString()) throw badSpec("a value of \"labels\" has to be a string");
    labels.emplace_back(key, value.extract<std::string>());
    if (key.empty() || key.size() > kMaxName || !isClean(key) || !isClean(labels.back().second)) {
      throw badSpec("a label has a bad name or value: names have 1 to 128 characters, neither has control characters");
    }
  }
  std::sort(labels.begin(), labels.end());
  return labels;
}

void checkEnv(const json::Object &spec) {
  const json::Object::Ptr env = json::findObject(spec, "env");
  if (!env) return;
  checkSize(env->size(), "env");
  for (const auto &[key, value] : *env) {
    if (key.empty() || !isClean(key) || key.find('=') != std::string::npos || !value.isString()) {
      throw badSpec("\"env\" holds a variable with a bad name, or a value that is no string");
    }
  }
}

void checkTexts(const json::Object &spec, const std::string &member) {
  const json::Array::Ptr array = json::findArray(spec, member);
  if (!array) return;
  checkSize(array->size(), member);
  if (std::any_of(array->begin(), array->end(), [](const json::Value &item) { return !item.isString(); })) {
    throw badSpec("the items of \"" + member + "\" have to be strings");
  }
}

/// Calls `item` with each element of an array, which has to be an object.
template <typename Item>
void eachObject(const json::Object &spec, const std::string &member, Item item) {
  const json::Array::Ptr array = json::findArray(spec, member);
  if (!array) return;
  checkSize(array->size(), member);
  for (const json::Value &value : *array) {
    if (value.type() != typeid(json::Object::Ptr)) throw badSpec("the items of \"" + member + "\" have to be objects");
    item(*value.extract<json::Object::Ptr>());
  }
}

std::string readName(const json::Object &object, const std::string &what) {
  std::string name = json::getString(object, "name");
  if (!isEngineName(name)) {
    throw badSpec("the name of " + what +
                  " has to be a letter or digit and then letters, digits, _ . or -, at most 128");
  }
  return name;
}

std::uint16_t readPort(const json::Object &object, const std::string &member) {
  const std::int64_t port = json::getInt(object, member, 0);
  if (port < 0 || port > 65535) throw badSpec("\"" + member + "\" has to be a port, 1 to 65535");
  return static_cast<std::uint16_t>(port);
}

PortSpec readPortSpec(const json::Object &object) {
  PortSpec port;
  port.name = readName(object, "a port");
  port.containerPort = readPort(object, "containerPort");
  port.hostPort = readPort(object, "hostPort");
  if (port.containerPort == 0) throw badSpec("the port \"" + port.name + "\" has no containerPort");
  port.hostAddress = json::findString(object, "hostAddress").value_or("127.0.0.1");
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (::inet_pton(AF_INET, port.hostAddress.c_str(), bytes.data()) != 1 &&
      ::inet_pton(AF_INET6, port.hostAddress.c_str(), bytes.data()) != 1) {
    throw badSpec("\"hostAddress\" of the port \"" + port.name + "\" is no IP address");
  }
  return port;
}

void readLimits(const json::Object &object, Spec &spec) {
  spec.memoryBytes = json::getInt(object, "memoryBytes", 0);
  if (spec.memoryBytes < 0) throw badSpec("memoryBytes is negative");
  spec.cpus = json::getNumber(object, "cpus", 0);
  if (!(spec.cpus >= 0 && spec.cpus <= 4096)) throw badSpec("cpus has to be between 0 and 4096");
  if (json::getInt(object, "pidsLimit", 0) < 0) throw badSpec("pidsLimit is negative");
  const std::string restart = json::findString(object, "restart").value_or("no");
  const auto found = std::find(kRestarts.begin(), kRestarts.end(), restart);
  if (found == kRestarts.end()) throw badSpec("restart has to be no, always, unless-stopped or on-failure");
  spec.restart = static_cast<Restart>(found - kRestarts.begin());
}

} // namespace

bool isEngineName(std::string_view text) noexcept {
  const auto isWord = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !text.empty() && text.size() <= kMaxName && isWord(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return isWord(c) || c == '_' || c == '.' || c == '-'; });
}

Labels parseLabels(std::string_view text) {
  if (text.empty() || text == "{}") return {};
  return readLabels(*json::parseObject(text));
}

std::string_view Spec::label(std::string_view key) const noexcept {
  const auto found = std::lower_bound(labels.begin(), labels.end(), key,
                                      [](const auto &label, std::string_view k) { return label.first < k; });
  return found != labels.end() && found->first == key ? std::string_view(found->second) : std::string_view{};
}

Spec Spec::parse(std::string_view text) {
  const json::Object::Ptr object = json::parseObject(text);
  Spec spec;
  spec.name = readName(*object, "the instance");
  spec.image = json::getString(*object, "image");
  if (spec.image.empty() || !isClean(spec.image)) throw badSpec("\"image\" is empty or has control characters");
  if (const auto labels = json::findObject(*object, "labels")) spec.labels = readLabels(*labels);
  checkEnv(*object);
  checkTexts(*object, "command");
  checkTexts(*object, "hostAliases");
  readLimits(*object, spec);
  eachObject(*object, "networks",
             [&](const json::Object &item) { spec.networks.push_back(readName(item, "a network")); });
  eachObject(*object, "volumes", [&](const json::Object &item) {
    spec.volumes.push_back(json::getString(item, "volume"));
    const std::string path = json::getString(item, "path");
    if (path.empty() || path.front() != '/') throw badSpec("\"path\" of a volume has to be absolute");
  });
  eachObject(*object, "ports", [&](const json::Object &item) { spec.ports.push_back(readPortSpec(item)); });
  return spec;
}

} // namespace matrixos::simulated
