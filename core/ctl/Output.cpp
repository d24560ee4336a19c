#include "ctl/Output.h"

#include "ctl/Table.h"

#include <matrixos/text/utf8.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <iostream>

namespace matrixos::ctl {

std::string shown(const json::Value &value) {
  if (value.isEmpty()) return "";
  const bool nested = value.type() == typeid(json::Array::Ptr) || value.type() == typeid(json::Object::Ptr);
  return nested ? json::dump(value) : value.convert<std::string>();
}

std::string text(const json::Object &object, const std::string &key) {
  return shown(object.get(key));
}

json::Value memberOf(const json::Object &object, const std::string &path) {
  const std::size_t dot = path.find('.');
  const json::Value value = object.get(path.substr(0, dot));
  if (dot == std::string::npos) return value;
  return value.type() == typeid(json::Object::Ptr) ? memberOf(*value.extract<json::Object::Ptr>(), path.substr(dot + 1))
                                                   : json::Value();
}

std::string memberText(const json::Object &object, const std::string &path) {
  return shown(memberOf(object, path));
}

void printFields(const json::Object &object) {
  std::vector<std::string> names;
  object.getNames(names);
  std::size_t width = 0;
  for (const std::string &name : names)
    width = std::max(width, countCharacters(name));
  for (const std::string &name : names) {
    std::cout << printable(name) << std::string(width - countCharacters(name) + 2, ' ') << printable(text(object, name))
              << '\n';
  }
}

std::vector<json::Object::Ptr> objects(const json::Value &value) {
  std::vector<json::Object::Ptr> list;
  const auto array = value.extract<json::Array::Ptr>();
  for (unsigned i = 0; i < array->size(); ++i)
    list.push_back(array->getObject(i));
  return list;
}

int finishOutput() {
  std::cout.flush();
  const bool whole = std::cout.good() && std::ferror(stdout) == 0;
  if (std::fflush(stdout) == 0 && whole) return 0;
  return errno != 0 ? errno : EIO;
}

bool printedJson(const Invocation &invocation, const std::string &body) {
  if (!invocation.has("json")) return false;
  std::cout << body << '\n';
  return true;
}

} // namespace matrixos::ctl
