#pragma once

#include "Operators.h"
#include "SessionTable.h"
#include "SignInProvider.h"

#include <matrixos/host.hpp>

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::identity {

/// Sessions that survive a restart: the table in memory decides, the database keeps what it needs to be filled again.
/// All but table() blocks for disk.
class Sessions {
public:
  struct Settings {
    std::int64_t ttlMs = 0, idleTtlMs = 0;
    Operators operators;
  };
  static constexpr std::size_t kMost = 100'000;  ///< in all; more sign-ins are refused
  static constexpr std::size_t kMostOfUser = 20; ///< one more, and the user's oldest ends

  Sessions(const Sql &sql, std::function<std::int64_t()> now);

  /// Reads what there is; once, before anybody asks.
  void load(Settings settings);
  /// Live: who is an operator no more is none from now on.
  void configure(Settings settings);

  const SessionTable &table() const noexcept { return table_; }
  std::int64_t now() const { return now_(); }

  /// The session of one of the cookies in a Cookie field of the console's host. `plain`: as OurHost has it.
  std::optional<SessionView> ofCookies(std::string_view cookies, bool plain) const;
  /// The one of the token in an Authorization field.
  std::optional<SessionView> ofToken(std::string_view authorization) const;

  /// Begins a session and gives its cookie. Throws Error: ResourceExhausted, or of the database; then there is none.
  std::string begin(const ProviderUser &user);
  /// Begins one for a program that somebody let in, which ends with the sign-in `by`, however that ends, and gives its
  /// token; empty when `by` has ended. Throws as begin() does.
  std::string beginProgram(const Digest &by);
  /// With the programs that it let in. False when there is no such session. When the database fails it has ended all
  /// the same, until a restart.
  bool end(const Digest &session);
  /// Ends all of a user's sessions; how many there were.
  std::size_t endAll(std::string_view userId);

  /// A new cookie for an instance's host; empty when the session has ended. From a loop, too: it is kept on disk by the
  /// next flush(), and a browser that comes with one that was lost gets another.
  std::string grant(const Digest &session, std::string_view handle);

  /// Writes down what happened since the last time, and forgets what has expired.
  void flush();

private:
  struct PendingGrant {
    std::string session, cookie, handle;
  };

  /// `kept`: a session that does not give way.
  void makeRoom(std::string_view userId, const Digest &kept = {});
  /// `by`: the sign-in that let a program in. False when it has ended.
  bool keep(SessionView session, const Digest *by = nullptr);
  /// Under the lock of the settings.
  User judged(const User &user) const;
  void writeGrants();
  void writeUses();
  void forget(const std::vector<Digest> &sessions);

  const Sql &sql_;
  const std::function<std::int64_t()> now_;
  SessionTable table_;
  std::mutex settingsMutex_;
  Settings settings_;
  std::mutex pendingMutex_;
  std::vector<PendingGrant> pending_;
  std::int64_t usesWrittenAt_ = 0;
};

} // namespace matrixos::identity
