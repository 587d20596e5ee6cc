package instance

// Touch tells of a change of an instance, as its event does.
func (r *Reconciler) Touch(group, name string) { r.groups.of(group).touch(name) }

// TouchAll tells of a change of a group, as its event does.
func (r *Reconciler) TouchAll(group string) { r.groups.of(group).touchAll() }
