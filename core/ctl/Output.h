#pragma once

#include "ctl/CommandLine.h"

#include <matrixos/json.hpp>

#include <string>
#include <vector>

namespace matrixos::ctl {

/// A value in one line: texts as they are, objects and arrays as JSON, "" for none.
std::string shown(const json::Value &value);

/// A member as shown(), "" when it is missing.
std::string text(const json::Object &object, const std::string &key);

/// The member that a path such as "image.name" leads to; empty when there is none.
json::Value memberOf(const json::Object &object, const std::string &path);
/// The same as shown().
std::string memberText(const json::Object &object, const std::string &path);

/// Prints all members, one a line.
void printFields(const json::Object &object);

/// The objects of an array.
std::vector<json::Object::Ptr> objects(const json::Value &array);

/// Writes what standard output still holds; the errno of whatever could not be written, 0 when everything was.
int finishOutput();

/// Prints the JSON as it came, for scripts; true when --json asked for it.
bool printedJson(const Invocation &invocation, const std::string &body);

} // namespace matrixos::ctl
