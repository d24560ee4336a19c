/// The tables `signup_users` and `signup_inbox`.
#pragma once

#include "Candidates.h"

#include <matrixos/host/sql.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::signup {

/// Where a sign-up stands. Deleting is a tombstone, too, for the time of delete_grace; Deleted is one for good.
enum class State { Waiting, Provisioning, Done, Failed, Deleting, Deleted };
constexpr std::size_t kStates = 6;

/// The words of the API and of the table.
std::string_view wordOf(State state) noexcept;
std::optional<State> stateOf(std::string_view word) noexcept;

/// A user's sign-up, of which there is one. Times are milliseconds since 1970.
struct Signup {
  std::string id; ///< ULID
  Person person;
  std::string handle;       ///< empty until one was chosen
  std::string wantedHandle; ///< what it would be if nobody else had it
  State state = State::Waiting;
  int candidate = 0; ///< which one `handle` is
  int attempts = 0;
  std::string lastError;
  std::int64_t nextTryAt = 0; ///< 0: nothing is going to happen by itself
  std::int64_t receivedAt = 0;

  /// The provider of identities has deleted the user.
  bool isBuried() const noexcept { return state == State::Deleting || state == State::Deleted; }
  std::string json() const;
};

/// A delivery by its id, which is the sender's and kept for good.
struct Delivery {
  std::string_view source; ///< "clerk"
  std::string_view id;
  std::string_view type;
};

/// What a delivery changed.
enum class Effect { Repeated, Ignored, Applied };

/// All SQL of the plugin. Blocks for disk; any thread where that is allowed. Writes are atomic and durable on return;
/// those of a sign-up that is no longer as it was read change nothing.
class Store {
public:
  explicit Store(Sql db) : db_(db) {}

  /// Brings the tables up to date.
  void migrate() const;

  /// The delivery with what it means, in one transaction: nothing of it is there before all of it is. `signup` holds
  /// person, wantedHandle, receivedAt; a user who is unknown signs up with it, of one who is known the address is
  /// brought up to date unless `updatedAt` is older, and one who was deleted stays so. Without a delivery it is for who
  /// asks by themselves, and changes nothing of one who is known.
  Effect upsert(const Delivery *delivery, const Signup &signup, std::int64_t updatedAt) const;
  /// Tombstones the user, known or not; what they have is due for removal at `dueAt`.
  Effect bury(const Delivery &delivery, const Signup &signup, std::int64_t dueAt) const;
  /// A delivery that means nothing here.
  Effect record(const Delivery &delivery, std::string_view userId, std::int64_t nowMs) const;

  /// By its id or its user's.
  std::optional<Signup> find(std::string_view id) const;
  /// Newest first; `before`: older than this id, or "" for all; a state, or none for all.
  void list(std::optional<State> state, std::string_view before, std::int64_t limit,
            const std::function<void(Signup)> &each) const;
  /// Sign-ups in that state, in the order in which they came.
  void each(State state, const std::function<void(Signup)> &each) const;
  /// Those that wait or failed and are to be tried now, in the order in which they came. `latest`: a next try that is
  /// later comes from a clock that was ahead, and is due as well.
  std::vector<Signup> dueProvisions(std::int64_t nowMs, std::int64_t latest, std::int64_t limit) const;
  std::vector<Signup> dueDeletions(std::int64_t nowMs, std::int64_t limit) const;
  /// How many there are in each state, in the order of State.
  std::vector<std::int64_t> counts() const;

  /// What was under way when the daemon ended is tried again.
  void resume(std::int64_t nowMs) const;
  /// Takes the handle for the sign-up and marks it as under way. False when it is neither waiting nor failed any more;
  /// throws Error(AlreadyExists) when another sign-up has the handle.
  bool begin(const Signup &signup) const;
  /// Writes handle, candidate, state, attempts, lastError and nextTryAt if it is still in state `from`.
  bool update(const Signup &signup, State from) const;
  /// The same, for sign-ups that wait for room.
  void tellWaiting(const std::string &why) const;

private:
  Effect run(const Delivery *delivery, std::string_view userId, std::int64_t nowMs, SqlStatement effect) const;

  Sql db_;
};

} // namespace matrixos::signup
