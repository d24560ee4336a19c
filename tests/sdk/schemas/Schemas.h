#pragma once

#include <string>
#include <vector>

namespace matrixos::test {

/// A change to a document that its schema has to refuse.
struct Broken {
  std::string what;
  std::string json;
};

/// Names of the schemas in sdk/schemas, without .json.
std::vector<std::string> schemaNames();

/// "" when the document fits the schema, else why not.
std::string misfit(const std::string &schema, const std::string &json);

/// The documents that the schema gives as its examples.
std::vector<std::string> examplesOf(const std::string &schema);

/// A document that was written against a released SDK.
struct Recorded {
  std::string schema;
  std::string json;
};

/// The documents of tests/fixtures/<release>/payloads.json.
std::vector<Recorded> recordedPayloads(const std::string &release);

/// For each member that the schema describes, at any depth: the example with a value of another type in it, without it
/// where it is required, and past its range or its words.
std::vector<Broken> brokenVariants(const std::string &schema, const std::string &example);

/// What is missing in the schema itself: members without a description, numbers without a unit.
std::vector<std::string> undescribed(const std::string &schema);

} // namespace matrixos::test
