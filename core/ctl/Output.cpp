#include "ctl/Output.h"

#include <cerrno>
#include <cstdio>
#include <iostream>

namespace matrixos::ctl {

std::string text(const json::Object &object, const std::string &key) {
  const json::Value value = object.get(key);
  return value.isEmpty() ? "" : value.convert<std::string>();
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
