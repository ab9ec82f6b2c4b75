verso doctor everything
