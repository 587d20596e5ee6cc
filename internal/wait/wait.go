// Package wait holds every wait of the engine as a setting with its default:
// how long a send window is, how far apart sweeps begin, when a join is given
// up. In comes one factor, out come all waits divided by it, so that a test
// runs the whole system faster without changing their proportions. It decides
// nothing and reads no clock.
package wait

import (
	"reflect"
	"time"

	"github.com/poolkeeper/poolkeeper/internal/fault"
)

// Settings are the waits. Each is a positive duration.
type Settings struct {
	// Sweep is the interval between two complete lists of the cloud at rest.
	Sweep time.Duration
	// SweepBusy is that interval while something is under way, and SweepSoon
	// the shortest, where somebody waits for an answer.
	SweepBusy, SweepSoon time.Duration
	// SweepPage is how much further apart they are for each page but the first,
	// up to Sweep: a large cloud is not asked more often than it can bear.
	SweepPage time.Duration
	// BusyAfter is how long a change keeps sweeps busy.
	BusyAfter time.Duration
	// SweepSpacing is how far apart two sweeps must begin to count as two.
	SweepSpacing time.Duration
	// Visibility is how long a new instance may stay invisible.
	Visibility time.Duration
	// UnknownGrace is how long an instance that no record knows may be shown
	// before it is recorded.
	UnknownGrace time.Duration

	// SendWindow is how long one piece may be sent again under its token.
	SendWindow time.Duration
	// SignatureLife is how long a signed call may still land.
	SignatureLife time.Duration
	// TokenLife is how long a join credential lives.
	TokenLife time.Duration
	// SecretGrace is how long a request Secret that no activity names stays.
	SecretGrace time.Duration

	// StartDeadline is how long an instance may take to run.
	StartDeadline time.Duration
	// JoinDeadline is from running to Ready; JoinDeadlineGPU for GPU bare
	// metal, whose reset takes long.
	JoinDeadline, JoinDeadlineGPU time.Duration
	// JoinLate is when the console of a machine that has not joined is first
	// read, and JoinLogAgain when it is read again.
	JoinLate, JoinLogAgain time.Duration
	// KeepFailed is how long a machine that failed to join is kept to look at.
	KeepFailed time.Duration

	// DrainLimit is the default limit of one drain, and DrainPass the time
	// between two of its passes.
	DrainLimit, DrainPass time.Duration
	// ReleaseAgain is when a release call is repeated for an instance that is
	// still shown.
	ReleaseAgain time.Duration
	// TagsSure is the margin after the signature's life before missing tags of
	// an attached instance are believed.
	TagsSure time.Duration

	// TaskDeadline ends a scale task, not the wish.
	TaskDeadline time.Duration
	// History is how long finished tasks and activities are kept.
	History time.Duration
	// Held is how often what is held is tried.
	Held time.Duration
	// SettingsCheck is how often valid settings are checked again with the
	// cloud, and SettingsRetry when it could not be asked.
	SettingsCheck, SettingsRetry time.Duration
	// Stock is how often stock and prices are read at rest.
	Stock time.Duration
	// StatusInterval is the shortest time between two writes of one summary
	// status while things move; see Summary for what is large.
	StatusInterval time.Duration
	// Gather is how long events of one group are gathered into one pass.
	Gather time.Duration
	// Retry is a short pause before something that failed is tried again, and
	// RetryMost the longest such pause.
	Retry, RetryMost time.Duration
	// Conflict is the pause after a write that somebody else overtook.
	Conflict time.Duration

	// Expiry is the shortest time for which a refusal of the catalogue is
	// remembered; its longer ones keep their proportion to it.
	Expiry time.Duration
	// Backoff is the longest first wait of a growing one, BackoffMost the
	// longest of all, of the catalogue.
	Backoff, BackoffMost time.Duration
	// Throttled is the window to whose end throttling lasts.
	Throttled time.Duration
	// APIServer is how often the API server is asked whether it answers, and
	// Quiet for how long nobody may have been refused before throttling is over.
	APIServer, Quiet time.Duration
	// HookTimeout is the default heartbeat timeout of a lifecycle hook; what pools
	// name keeps its proportion to it.
	HookTimeout time.Duration
	// ExpiryWarning is how long before its end a subscription is warned of.
	ExpiryWarning time.Duration
	// ClockMargin is by how much our own clock may be off, either way.
	ClockMargin time.Duration
}

// Defaults are the waits of production.
func Defaults() Settings {
	return Settings{
		Sweep: 30 * time.Second, SweepBusy: time.Second, SweepSoon: 100 * time.Millisecond,
		SweepPage: 400 * time.Millisecond,
		BusyAfter: time.Minute, SweepSpacing: 5 * time.Second, Visibility: 2 * time.Minute, UnknownGrace: time.Minute,
		SendWindow: 30 * time.Minute, SignatureLife: 15 * time.Minute, TokenLife: 2 * time.Hour, SecretGrace: time.Hour,
		StartDeadline: 10 * time.Minute, JoinDeadline: 15 * time.Minute, JoinDeadlineGPU: 40 * time.Minute,
		JoinLate: 90 * time.Second, JoinLogAgain: time.Minute, KeepFailed: 4 * time.Hour,
		DrainLimit: 30 * time.Minute, DrainPass: 5 * time.Second, ReleaseAgain: time.Minute, TagsSure: 2 * time.Minute,
		TaskDeadline: time.Hour, History: 30 * 24 * time.Hour, Held: 30 * time.Minute,
		SettingsCheck: 10 * time.Minute, SettingsRetry: 30 * time.Second, Stock: 10 * time.Minute,
		StatusInterval: time.Second, Gather: 20 * time.Millisecond,
		Retry: 2 * time.Second, RetryMost: time.Minute, Conflict: 50 * time.Millisecond,
		Expiry: shortest, Backoff: 2 * time.Second, BackoffMost: 5 * time.Minute, Throttled: time.Minute,
		APIServer: 10 * time.Second, Quiet: time.Minute,
		HookTimeout: hookTimeout, ExpiryWarning: 7 * 24 * time.Hour, ClockMargin: time.Minute,
	}
}

// shortest is the default of Expiry: the shortest expiry of the catalogue.
const shortest = 5 * time.Minute

// hookTimeout is the default of HookTimeout.
const hookTimeout = 10 * time.Minute

// Hook is the heartbeat timeout that a pool names for a lifecycle hook, in
// seconds.
func (s Settings) Hook(seconds int32) time.Duration {
	return time.Duration(float64(seconds) * float64(time.Second) * float64(s.HookTimeout) / float64(hookTimeout))
}

// Summary is the shortest time between two looks at n instances for a summary
// status while things move: StatusInterval for few, as much again for each 1,000
// and five times as much at most, so that what looking costs does not grow with
// the size while thousands come or go.
func (s Settings) Summary(n int) time.Duration {
	return min(s.StatusInterval+time.Duration(n)*s.StatusInterval/1000, 5*s.StatusInterval)
}

// Faults are the waits of the failure catalogue.
func (s Settings) Faults() fault.Waits {
	return fault.Waits{
		Divide:       int(max(shortest/max(s.Expiry, 1), 1)),
		BackoffFirst: s.Backoff, BackoffMax: s.BackoffMost, Recheck: s.Held, Minute: s.Throttled,
	}
}

// Divided returns every wait divided by one factor. A factor of 1 or less
// changes nothing.
func (s Settings) Divided(by float64) Settings {
	if by <= 1 {
		return s
	}
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		f.SetInt(int64(max(float64(f.Int())/by, float64(time.Millisecond))))
	}
	return s
}
