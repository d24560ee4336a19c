#pragma once

#include "auth/Permission.h"

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

namespace matrixos::auth {

/// Permission of the route of the metrics: what admin may, and who brings the token for it.
inline constexpr std::string_view kMetricsPermission = "metrics";

/// Which socket of the API a connection came through.
enum class ApiSocket {
  Admin, ///< the admin socket, mode 0600, where peer credentials count
  Api    ///< every other listener: the api socket and TCP
};

/// What one request brings along to prove who sent it.
struct Credentials {
  ApiSocket socket = ApiSocket::Api;
  /// User of the peer from SO_PEERCRED; nothing on TCP.
  std::optional<uid_t> peerUid;
  /// Values of all Authorization fields. More than one proves nothing, because it is unclear which one counts.
  std::vector<std::string_view> authorization;
};

/// Whether a request may go on.
struct Decision {
  /// 0: allowed. Else the HTTP status to answer: 401, 403, 409, 429 or 503.
  int status = 0;
  /// Who asks; by id: "admin" (the secret), "uid:0" (admin socket), "anonymous" (auth=none), "metrics" (the token), ""
  /// (the public), or whom a provider of identities knows.
  Identity who;
  /// When refused: a sentence for people, and a stable word for programs.
  std::string message;
  std::string reason;
  /// The platform's secret came, or a connection to the admin socket: nothing limits them.
  bool isPlatform = false;
  /// When refused: whoever provides identities may know better.
  bool isOpen = false;
  /// When refused: a token came that is not the platform's secret.
  bool wrongToken = false;

  bool allowed() const { return status == 0; }
};

/// Decides whether a request meets a route's permission. All functions from any thread.
class Authenticator {
public:
  struct Options {
    /// The platform secret; an empty one matches nothing.
    std::string secret;
    /// Opens the route of the metrics alone; an empty one matches nothing.
    std::string metricsToken;
    /// api.auth=none: the api listeners ask for nothing.
    bool open = false;
    /// The daemon's own user, who may use the admin socket like root.
    uid_t ownUid = 0;
    /// Told about wrong secrets, at most once per `logInterval`, with how many there were since the last time.
    std::function<void(std::uint64_t attempts)> onWrongSecret;
    std::chrono::milliseconds logInterval{10000};
  };

  explicit Authenticator(Options options);

  /// By the secret, the metrics' token and the socket alone. Never throws for what a client sent.
  Decision check(std::string_view permission, const Credentials &credentials) const;
  /// What is decided where `before` left it open, and a provider of identities says who it is.
  static Decision judge(std::string_view permission, const Identity &identity, Decision before);
  /// A request was refused for good.
  void noteRefused(const Decision &decision) const {
    if (decision.wrongToken) noteWrongSecret();
  }

  /// From now on this secret counts and the one before does not. False when it is the same one.
  bool replaceSecret(const std::string &secret);
  /// The same for the token of the metrics.
  bool replaceMetricsToken(const std::string &token);

private:
  enum class Proof { None, Wrong, Right, Metrics };

  Proof proofOf(const Credentials &credentials) const;
  Decision decide(std::string_view permission, const Credentials &credentials, Proof proof,
                  const std::string &principal) const;
  Decision refuseStranger(const Credentials &credentials, Proof proof, bool instances) const;
  bool replace(std::string &kept, const std::string &now);
  void noteWrongSecret() const;

  mutable std::shared_mutex secretMutex_;
  std::string secret_;
  std::string metricsToken_;
  const Options options_; ///< but for these two
  mutable std::mutex mutex_;
  mutable std::uint64_t wrongSinceLog_ = 0;
  mutable std::optional<std::chrono::steady_clock::time_point> lastLog_;
};

/// Whether two texts are equal, in a time that depends on their lengths alone.
bool equalInConstantTime(std::string_view left, std::string_view right) noexcept;

} // namespace matrixos::auth
