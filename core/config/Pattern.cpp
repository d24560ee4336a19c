#include "config/Pattern.h"

#include <matrixos/status.hpp>

#include <re2/re2.h>

namespace matrixos::config {

namespace {

re2::RE2::Options quietAndSmall() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(std::int64_t{1} << 20U);
  return options;
}

} // namespace

Pattern::Pattern(const std::string &expression)
    : expression_(std::make_shared<const re2::RE2>(expression, quietAndSmall())) {
  if (!expression_->ok()) throw Error(Status::InvalidArgument, "its pattern cannot be read: " + expression_->error());
}

bool Pattern::matches(std::string_view text) const {
  return re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), *expression_);
}

} // namespace matrixos::config
