/// What has to hold for the proxy's policy whatever a client asks and a tenant answers. Used by the libFuzzer target,
/// and by a unit test that replays the committed corpus.
#pragma once

#include <string_view>

namespace matrixos::proxy::fuzz {

/// The first byte says who the peer is; then come the head of a request and, behind a 0xff byte, that of the answer.
/// Throws std::logic_error when an invariant is broken.
void checkPolicy(std::string_view input);

} // namespace matrixos::proxy::fuzz
