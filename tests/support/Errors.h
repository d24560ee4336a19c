#pragma once

#include <matrixos/status.hpp>

#include <string>

namespace matrixos::test {

/// What the action throws; Status::Ok and no text when it throws nothing.
template <typename Action>
Error errorOf(Action &&action) {
  try {
    action();
  } catch (const Error &error) {
    return error;
  }
  return Error(Status::Ok, "");
}

/// The status that the action fails with; Ok when it does not. `message`: gets the sentence.
template <typename Action>
Status statusOf(Action &&action, std::string *message = nullptr) {
  const Error error = errorOf(action);
  if (message != nullptr) *message = error.what();
  return error.status();
}

} // namespace matrixos::test
