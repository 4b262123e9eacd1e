#include "tools/towline/held_port.hpp"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace towline::cli {

absl::StatusOr<HeldPort> HeldPort::take(int number) {
  HeldPort port{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  a.sin_port = htons(static_cast<std::uint16_t>(number));
  socklen_t len = sizeof a;
  const int yes = 1;
  // SO_REUSEADDR is set after bind(): before it, bind() could give two holders the same port.
  if (port.fd_ < 0 || bind(port.fd_, reinterpret_cast<sockaddr*>(&a), len) != 0 ||
      setsockopt(port.fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
      getsockname(port.fd_, reinterpret_cast<sockaddr*>(&a), &len) != 0)
    return absl::UnavailableError(
        absl::StrCat(number == 0 ? "no free port on 127.0.0.1" : absl::StrCat("port ", number, " of 127.0.0.1"), ": ",
                     std::strerror(errno)));
  port.number_ = ntohs(a.sin_port);
  return port;
}

HeldPort::~HeldPort() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace towline::cli
