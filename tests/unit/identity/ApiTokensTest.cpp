#include "Stage.h"

#include <matrixos/status.hpp>

#include <doctest/doctest.h>
#include <identity/ApiTokens.h>
#include <support/Errors.h>

using namespace matrixos;
using namespace matrixos::identity;
using matrixos::test::errorOf;
using matrixos::test::IdentityStage;

TEST_CASE_FIXTURE(IdentityStage, "a token that has expired is no more, and makes room") {
  ApiTokens tokens(sql, [this] { return now; });
  tokens.load();
  const std::string lasting = "Bearer " + tokens.make("lasting", {"*"}, 1'000'000, "operator").secret;
  for (std::size_t i = 1; i < ApiTokens::kMost; ++i)
    tokens.make("brief", {"usage:read"}, 1000, "operator");
  CHECK(errorOf([&] { tokens.make("more", {"usage:read"}, 1000, "operator"); }).reason() == "TOO_MANY_TOKENS");
  CHECK(tokens.list().size() == ApiTokens::kMost);
  now += 1000;
  CHECK(tokens.list().size() == 1);
  const std::string more = "Bearer " + tokens.make("more", {"usage:read"}, 1000, "operator").secret;
  CHECK(tokens.find(more)->name == "more");
  CHECK(tokens.find(lasting)->name == "lasting");
  CHECK(tokens.list().size() == 2);
  CHECK(std::string(errorOf([&] { tokens.make("odd", {"foo"}, 1000, "operator"); }).what())
            .find("is no scope; there are: *, audit:read, instances:proxy,") != std::string::npos);
  CHECK(count("identity_tokens") == 2);
}
