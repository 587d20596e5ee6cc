package cloud

import "strconv"

// The keys of our tags.
const (
	TagCluster  = "poolkeeper.io/cluster"
	TagPool     = "poolkeeper.io/pool"
	TagGroup    = "poolkeeper.io/group-uid"
	TagActivity = "poolkeeper.io/activity-uid"
	TagPiece    = "poolkeeper.io/piece"
)

// TagKeys are the keys of all our tags.
func TagKeys() []string { return []string{TagCluster, TagPool, TagGroup, TagActivity, TagPiece} }

// Origin is what our tags say about where an instance comes from.
type Origin struct {
	// ClusterID of the cluster that has it.
	ClusterID string
	// Pool by name.
	Pool string
	// GroupUID of the scaling group.
	GroupUID string
	// ActivityUID that created or brought in; empty before it is known.
	ActivityUID string
	// Piece of that activity, from 0; -1 where there is none.
	Piece int
}

// LaunchTags are the tags that are known when a request is encoded.
func (o Origin) LaunchTags() map[string]string {
	return map[string]string{TagCluster: o.ClusterID, TagPool: o.Pool, TagGroup: o.GroupUID}
}

// SendTags are the tags that are known when a request is sent.
func (o Origin) SendTags() map[string]string {
	t := map[string]string{TagActivity: o.ActivityUID}
	if o.Piece >= 0 {
		t[TagPiece] = strconv.Itoa(o.Piece)
	}
	return t
}

// Tags are all our tags of this origin.
func (o Origin) Tags() map[string]string {
	t := o.LaunchTags()
	for k, v := range o.SendTags() {
		if v != "" {
			t[k] = v
		}
	}
	return t
}

// OriginOf reads our tags. ok is false where one that each of our instances
// carries (cluster, pool, group) is missing.
func OriginOf(tags map[string]string) (o Origin, ok bool) {
	o = Origin{
		ClusterID: tags[TagCluster], Pool: tags[TagPool],
		GroupUID: tags[TagGroup], ActivityUID: tags[TagActivity], Piece: -1,
	}
	if n, err := strconv.Atoi(tags[TagPiece]); err == nil && n >= 0 {
		o.Piece = n
	}
	return o, o.ClusterID != "" && o.Pool != "" && o.GroupUID != ""
}
