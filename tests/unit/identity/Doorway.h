#pragma once

#include <matrixos/abi/host.h>
#include <matrixos/abi/policy.h>
#include <matrixos/status.hpp>

#include <identity/EdgePolicy.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::test {

/// A database that takes everything and keeps nothing. What is read of it is a number of people who are signed in, each
/// with a cookie for the instance that is his.
class CrowdDatabase {
public:
  explicit CrowdDatabase(std::int64_t people) : people_(people) {
    sql_.struct_size = sizeof sql_;
    sql_.self = this;
    sql_.query = [](void *self, mos_str sql, const mos_sql_value *, std::uint32_t, mos_sql_rows rows,
                    mos_error *error) {
      return guarded(error, [&] { static_cast<CrowdDatabase *>(self)->read(fromAbi(sql), rows); });
    };
    sql_.exec_batch = [](void *, const mos_sql_statement *, std::uint32_t, std::int64_t *, mos_error *) -> mos_status {
      return MOS_OK;
    };
    host_.struct_size = sizeof host_;
    host_.self = this;
    host_.get_interface = [](void *self, const char *) -> const void * {
      return &static_cast<CrowdDatabase *>(self)->sql_;
    };
  }
  CrowdDatabase(const CrowdDatabase &) = delete;
  CrowdDatabase &operator=(const CrowdDatabase &) = delete;

  const mos_host_v1 *abi() const noexcept { return &host_; }

  static std::string userOf(std::int64_t person) { return "user_2abcdefghijklmnop" + numberOf(person); }
  static std::string handleOf(std::int64_t person) { return "p" + numberOf(person); }
  static std::string cookieOf(std::int64_t person) { return identity::Digest::of("c" + numberOf(person)).text(); }

private:
  static std::string numberOf(std::int64_t person) { return std::to_string(1'000'000'000 + person); }

  void read(std::string_view sql, mos_sql_rows rows) const {
    const bool grants = sql.find("identity_grants") != std::string_view::npos;
    if (!grants && sql.find("identity_sessions") == std::string_view::npos) return;
    for (std::int64_t i = 0; i < people_; ++i) {
      const std::string session = identity::Digest::of("s" + numberOf(i)).hex(), user = userOf(i),
                        email = numberOf(i) + "@mail.example.com", handle = handleOf(i),
                        cookie = identity::Digest::of(cookieOf(i)).hex();
      const std::vector<mos_sql_value> row = grants ? std::vector{text(session), text(cookie), text(handle)}
                                                    : std::vector{text(session),
                                                                  text(user),
                                                                  text(email),
                                                                  number(1),
                                                                  text("Ada Lovelace"),
                                                                  text(""),
                                                                  number(i),
                                                                  number(std::int64_t{1} << 60),
                                                                  number(i),
                                                                  mos_sql_value{MOS_SQL_NULL, 0, 0, 0, {}}};
      rows.row(rows.ctx, row.data(), static_cast<std::uint32_t>(row.size()));
    }
  }
  static mos_sql_value text(std::string_view value) { return {MOS_SQL_TEXT, 0, 0, 0, toAbi(value)}; }
  static mos_sql_value number(std::int64_t value) { return {MOS_SQL_INT, 0, value, 0, {}}; }

  const std::int64_t people_;
  mos_host_sql_v1 sql_{};
  mos_host_v1 host_{};
};

/// The policy with all that it looks at.
struct Doorway {
  explicit Doorway(std::int64_t people = 0) : database(people) {
    for (std::int64_t i = 0; i < people; ++i)
      own(CrowdDatabase::handleOf(i), CrowdDatabase::userOf(i));
    sessions.load({100'000, 0, {}});
  }

  void own(const std::string &handle, const std::string &user) {
    InstanceRecord record;
    record.id = "I" + handle;
    record.handle = handle;
    record.clerkUserId = user;
    record.rev = 1;
    record.status = InstanceStatus::Running;
    access.apply(record);
  }

  std::int64_t now = 1000;
  CrowdDatabase database;
  Sql sql{database.abi()};
  identity::Hosts hosts{"matrix.test"};
  identity::Sessions sessions{sql, [this] { return now; }};
  identity::Access access;
  identity::Codes codes;
  identity::ApiTokens tokens{sql, [this] { return now; }};
  identity::EdgePolicy policy{hosts, sessions, access, codes, tokens, identity::PublicPaths({"/about"})};
};

/// A request with a cookie that costs nothing to ask about.
class BareQuestion {
public:
  BareQuestion(std::string_view handle, std::string_view cookie)
      : handle_(handle), host_(handle_ + ".matrix.test"), value_("a=1; __Host-matrixos-app=" + std::string(cookie)) {
    request_.struct_size = sizeof(mos_policy_request);
    request_.of = this;
    request_.method = toAbi("GET");
    request_.host = toAbi(host_);
    request_.handle = toAbi(handle_);
    request_.path = toAbi("/");
    request_.scheme = toAbi("https");
    field_ = {toAbi("cookie"), toAbi(value_)};
    request_.fields = &field_;
    request_.fields_count = 1;
    request_.answer = [](const mos_policy_request *asked, const mos_policy_verdict *given) {
      static_cast<const Request *>(asked)->of->verdict_ = given->verdict;
    };
  }
  BareQuestion(const BareQuestion &) = delete;
  BareQuestion &operator=(const BareQuestion &) = delete;

  /// MOS_VERDICT_…
  std::uint32_t ask(const identity::EdgePolicy &policy) {
    verdict_ = 0;
    policy.table()->check(policy.table()->self, &request_, nullptr);
    return verdict_;
  }

private:
  struct Request : mos_policy_request {
    BareQuestion *of;
  };

  const std::string handle_, host_, value_;
  mos_pair field_{};
  Request request_{};
  std::uint32_t verdict_ = 0;
};

} // namespace matrixos::test
