// Package simulator plays WeChat's side of the third-party platform protocol on
// one machine: the API, the authorization pages, the encrypted pushes and the
// automatic test before publication. It follows what the platform is known to
// do, misbehaves on purpose where the platform is known to misbehave, keeps the
// authoritative history of everything that happened, and knows every secret it
// ever issued.
//
// A [Simulator] offers two handlers. [Simulator.Handler] is the platform: the
// paths of api.weixin.qq.com, mp.weixin.qq.com and open.weixin.qq.com on one
// host. [Simulator.ControlHandler] is what WeChat does not have: it registers
// components, makes merchants and users act, moves the virtual clock and
// switches faults. Every control call is a Go method as well.
//
// Time is the time of a [tuoguan.Clock], so hours can pass in an instant. Only
// the five seconds that a push may take are real.
//
// With one seed and one order of calls, the simulator issues the same secrets
// and commits the same faults. The ciphertext of pushes is random in any case.
//
// It is a test double: it keeps everything in memory and its secrets are
// derived from the seed. Never give it the credentials of a real component.
package simulator
